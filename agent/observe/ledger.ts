/**
 * Counters that outlive slots: what the kernel counts per slot is added up per pod, container or path, so that a
 * slot that is reused, a scheduler that is reloaded and a pod that is recreated under its name never make a
 * counter go back.
 */
import { MISS_REASONS, type MissReason, type SlotStats } from '../kernel/port.ts';
import { addDelta, HIST_BUCKETS } from './histogram.ts';
import { RollingWaits } from './rolling-waits.ts';

export interface SeriesLabels {
  namespace: string;
  pod: string;
  container: string;
}

export interface Series {
  readonly labels: SeriesLabels;
  bursts: number;
  misses: Record<MissReason, number>;
  waitNs: number;
  ranNs: number;
  eventsDropped: number;
  /** Of the slot that was read last, since it was assigned. */
  maxWaitNs: number;
  hist: Float64Array;
  /** Monotonic ms of the last read. */
  readAtMs: number;
}

/** What one read added. */
export interface SlotDelta {
  bursts: number;
  misses: number;
  overMisses: number;
  waitNs: number;
  ranNs: number;
  /** ms since the read before (or since the slot was assigned). */
  sinceMs: number;
}

/** One slot while one cgroup has it. */
export interface Meter {
  readonly series: Series;
  /** Only where there is an SLO: the last second (for shedding) and the last ten (for people). */
  readonly second: RollingWaits | undefined;
  readonly tenSeconds: RollingWaits | undefined;
  last: SlotStats;
  readAtMs: number;
}

const SHED_SPANS = 5;
const SHED_SPAN_MS = 200;
const VIEW_SPANS = 10;
const VIEW_SPAN_MS = 1_000;
/** A series that nothing feeds any more stays for a few scrapes. */
export const KEEP_MS = 300_000;

const noMisses = (): Record<MissReason, number> => ({ sched: 0, over: 0, shed: 0, throttle: 0, stall: 0 });

/** What a slot has counted when it is assigned. Shared, never written to. */
const NO_STATS: SlotStats = {
  bursts: 0,
  misses: noMisses(),
  waitNs: 0,
  ranNs: 0,
  throttledNs: 0,
  periods: 0,
  throttledPeriods: 0,
  eventsDropped: 0,
  maxWaitNs: 0,
  hist: new Uint32Array(HIST_BUCKETS),
};

/** Shards are read one after the other, so a sum may lag by a moment; it never counts backwards. */
export const grown = (now: number, before: number): number => Math.max(0, now - before);

export const seriesKey = ({ namespace, pod, container }: SeriesLabels): string =>
  `${namespace}\0${pod}\0${container}`;

export class Ledger {
  readonly #series = new Map<string, Series>();

  series(): IterableIterator<Series> {
    return this.#series.values();
  }

  /** Starts to follow a slot whose counters are zero now. */
  open(labels: SeriesLabels, hasSlo: boolean, nowMs: number): Meter {
    return {
      series: this.#seriesOf(labels, nowMs),
      second: hasSlo ? new RollingWaits(SHED_SPANS, SHED_SPAN_MS) : undefined,
      tenSeconds: hasSlo ? new RollingWaits(VIEW_SPANS, VIEW_SPAN_MS) : undefined,
      last: NO_STATS,
      readAtMs: nowMs,
    };
  }

  /** The slot stays, but counts for another owner from now on (a pod became known, or got an SLO). */
  move(meter: Meter, labels: SeriesLabels, hasSlo: boolean, nowMs: number): Meter {
    return { ...this.open(labels, hasSlo, nowMs), last: meter.last, readAtMs: meter.readAtMs };
  }

  read(meter: Meter, stats: SlotStats, nowMs: number): SlotDelta {
    const { series } = meter;
    // Counters only grow: fewer bursts than before mean that the kernel side started anew.
    const last = stats.bursts < meter.last.bursts ? NO_STATS : meter.last;
    const delta: SlotDelta = {
      bursts: grown(stats.bursts, last.bursts),
      misses: 0,
      overMisses: grown(stats.misses.over, last.misses.over),
      waitNs: grown(stats.waitNs, last.waitNs),
      ranNs: grown(stats.ranNs, last.ranNs),
      sinceMs: nowMs - meter.readAtMs,
    };
    for (const reason of MISS_REASONS) {
      const misses = grown(stats.misses[reason], last.misses[reason]);
      series.misses[reason] += misses;
      if (reason !== 'throttle') delta.misses += misses;
    }
    series.bursts += delta.bursts;
    series.waitNs += delta.waitNs;
    series.ranNs += delta.ranNs;
    series.eventsDropped += grown(stats.eventsDropped, last.eventsDropped);
    series.maxWaitNs = stats.maxWaitNs;
    series.readAtMs = nowMs;
    addDelta(series.hist, stats.hist, last.hist);
    const throttleMisses = grown(stats.misses.throttle, last.misses.throttle);
    const counts = { waitMs: delta.waitNs / 1e6, bursts: delta.bursts, misses: delta.misses, throttleMisses };
    meter.second?.add(stats.hist, last.hist, counts, nowMs);
    meter.tenSeconds?.add(stats.hist, last.hist, counts, nowMs);
    meter.last = stats;
    meter.readAtMs = nowMs;
    return delta;
  }

  /** The slot did nothing since the last read. */
  rest(meter: Meter, nowMs: number): void {
    meter.series.readAtMs = nowMs;
    meter.readAtMs = nowMs;
  }

  /** Drops what nothing has fed for long. */
  expire(nowMs: number): void {
    for (const [key, series] of this.#series) {
      if (nowMs - series.readAtMs > KEEP_MS) this.#series.delete(key);
    }
  }

  #seriesOf(labels: SeriesLabels, nowMs: number): Series {
    const key = seriesKey(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const series: Series = {
      labels,
      bursts: 0,
      misses: noMisses(),
      waitNs: 0,
      ranNs: 0,
      eventsDropped: 0,
      maxWaitNs: 0,
      hist: new Float64Array(HIST_BUCKETS),
      readAtMs: nowMs,
    };
    this.#series.set(key, series);
    return series;
  }
}
