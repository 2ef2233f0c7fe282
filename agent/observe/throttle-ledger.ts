/**
 * What cpu.max did, per pod and container, over slots that are reused and sessions that end. Beside the ledger,
 * because a container without an SLO has limits but counts for its pod in everything else.
 */
import type { Throttling } from '../kernel/port.ts';
import { grown, KEEP_MS, type SeriesLabels, seriesKey } from './ledger.ts';

export interface ThrottleSeries extends Throttling {
  readonly labels: SeriesLabels;
  /** Monotonic ms of the last read. */
  readAtMs: number;
}

/** One slot while one cgroup has it. */
export interface ThrottleMeter {
  readonly series: ThrottleSeries;
  last: Throttling;
  /** Throttled / all periods between the last two reads, 0 .. 1. */
  share: number;
}

const NOTHING: Throttling = { throttledNs: 0, periods: 0, throttledPeriods: 0 };

export class ThrottleLedger {
  readonly #series = new Map<string, ThrottleSeries>();

  series(): IterableIterator<ThrottleSeries> {
    return this.#series.values();
  }

  /** @param last what the slot had counted before; nothing where it was just assigned. */
  open(labels: SeriesLabels, nowMs: number, last: Throttling = NOTHING): ThrottleMeter {
    const key = seriesKey(labels);
    const series = this.#series.get(key) ?? { labels, ...NOTHING, readAtMs: nowMs };
    this.#series.set(key, series);
    return { series, last, share: 0 };
  }

  read(meter: ThrottleMeter, now: Throttling, nowMs: number): void {
    const { series, last } = meter;
    const periods = grown(now.periods, last.periods);
    const throttledPeriods = grown(now.throttledPeriods, last.throttledPeriods);
    meter.share = periods > 0 ? Math.min(1, throttledPeriods / periods) : 0;
    series.throttledNs += grown(now.throttledNs, last.throttledNs);
    series.periods += periods;
    series.throttledPeriods += throttledPeriods;
    series.readAtMs = nowMs;
    meter.last = now;
  }

  /** Drops what nothing has fed for long. */
  expire(nowMs: number): void {
    for (const [key, series] of this.#series) {
      if (nowMs - series.readAtMs > KEEP_MS) this.#series.delete(key);
    }
  }
}
