/** Tells the signal once a second how this process does (`POST /v1/report`). It may only raise our own level. */
import type { Transport } from './transport.ts';

export interface Report {
  /** undefined: nothing waited. */
  queueP95Ms: number | undefined;
  inflight: number;
  /** Since the last report. */
  accepted: number;
  rejected: number;
}

const EVERY_MS = 1_000;
const TIMEOUT_MS = 1_000;
/** A signal without this route is asked again after so long. */
const ABSENT_MS = 60_000;

export class Reporter {
  readonly #transport: Transport;
  #dueMs = 0;
  #isUnderWay: boolean = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  isDue(nowMs: number): boolean {
    return !this.#isUnderWay && nowMs >= this.#dueMs;
  }

  async send(report: Report, nowMs: number): Promise<void> {
    this.#isUnderWay = true;
    this.#dueMs = nowMs + EVERY_MS;
    const reply = await this.#transport.ask({
      path: '/v1/report',
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        queue_p95_ms: Math.round((report.queueP95Ms ?? 0) * 10) / 10,
        inflight: report.inflight,
        accepted: report.accepted,
        rejected: report.rejected,
      }),
      timeoutMs: TIMEOUT_MS,
    });
    this.#isUnderWay = false;
    if (reply?.status === 404 || reply?.status === 405) this.#dueMs = nowMs + ABSENT_MS;
  }
}
