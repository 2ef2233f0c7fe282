/** What pods said of themselves lately. Nothing in a report is trusted: a bad number is no report. */
import { podKey } from '../signal/callers.ts';
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
    this.#reports.set(podKey(report.podUid), { ...report, queueWaitMs: Math.min(MOST_MS, queueWaitMs) });
  }

  /** @param key podKey of its uid. @returns undefined: none that is fresh. */
  latest(key: string, nowMs: number): OwnReport | undefined {
    const report = this.#reports.get(key);
    return report === undefined || nowMs - report.receivedAtMs > FRESH_MS ? undefined : report;
  }

  /** Forgets pods that are gone. */
  keep(isKnown: (key: string) => boolean): void {
    for (const key of this.#reports.keys()) if (!isKnown(key)) this.#reports.delete(key);
  }
}
