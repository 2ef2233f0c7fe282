/** What pods said of themselves lately. Nothing in a report is trusted: a bad number is no report. */
import type { OwnReport } from './feed.ts';

const FRESH_MS = 2_000;
/** Longer waits say no more. */
const MOST_MS = 60_000;

export class OwnReports {
  readonly #reports = new Map<string, OwnReport>();

  /** @param podUid that the address, not the report, gave. */
  take(report: OwnReport): void {
    const { queueWaitMs, receivedAtMs } = report;
    if (!Number.isFinite(queueWaitMs) || queueWaitMs < 0 || !Number.isFinite(receivedAtMs)) return;
    this.#reports.set(report.podUid, { ...report, queueWaitMs: Math.min(MOST_MS, queueWaitMs) });
  }

  /** @returns undefined: none that is fresh. */
  latest(podUid: string, nowMs: number): OwnReport | undefined {
    const report = this.#reports.get(podUid);
    return report === undefined || nowMs - report.receivedAtMs > FRESH_MS ? undefined : report;
  }

  /** Forgets pods that are gone. */
  keep(podUids: ReadonlySet<string>): void {
    for (const podUid of this.#reports.keys()) if (!podUids.has(podUid)) this.#reports.delete(podUid);
  }
}
