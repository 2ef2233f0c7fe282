/** What a slot did in the last moments: a ring of short spans, each with its own histogram. */
import { addDelta, countOf, HIST_BUCKETS } from './histogram.ts';

/** Sums over the spans that are still in the window. */
export interface RecentWaits {
  hist: Uint32Array;
  /** Sum of the waits. */
  waitMs: number;
  bursts: number;
  /** Misses of any reason but throttling, which is the pod's own limit. */
  misses: number;
  throttleMisses: number;
}

/** What one read adds. */
export type AddedCounts = Omit<RecentWaits, 'hist'>;

interface Span extends RecentWaits {
  number: number;
}

const NOTHING = new Uint32Array(HIST_BUCKETS);

const NO_COUNTS: AddedCounts = { waitMs: 0, bursts: 0, misses: 0, throttleMisses: 0 };

const addTo = (into: RecentWaits, counts: AddedCounts): void => {
  into.waitMs += counts.waitMs;
  into.bursts += counts.bursts;
  into.misses += counts.misses;
  into.throttleMisses += counts.throttleMisses;
};

export class RollingWaits {
  readonly #spans: Span[];
  readonly #spanMs: number;
  /** Number of the last span that anything was added to. */
  #newest = Number.NEGATIVE_INFINITY;

  /** @param spans how many; @param spanMs how long each is. */
  constructor(spans: number, spanMs: number) {
    this.#spanMs = spanMs;
    this.#spans = Array.from({ length: spans }, () => ({
      number: -1,
      hist: new Uint32Array(HIST_BUCKETS),
      ...NO_COUNTS,
    }));
  }

  add(hist: Uint32Array, histBefore: Uint32Array, counts: AddedCounts, nowMs: number): void {
    const number = Math.floor(nowMs / this.#spanMs);
    const span = this.#spans[number % this.#spans.length];
    if (span === undefined) return;
    this.#newest = number;
    if (span.number !== number) {
      span.number = number;
      span.hist.fill(0);
      Object.assign(span, NO_COUNTS);
    }
    addDelta(span.hist, hist, histBefore);
    addTo(span, counts);
  }

  /** Nothing was added within the window. */
  isEmpty(nowMs: number): boolean {
    return this.#newest <= Math.floor(nowMs / this.#spanMs) - this.#spans.length;
  }

  /** @param enough stops at the newest spans that have so many waits together; without it: the whole window. */
  sum(nowMs: number, enough = Number.POSITIVE_INFINITY): RecentWaits {
    const newest = Math.floor(nowMs / this.#spanMs);
    const total: RecentWaits = { hist: new Uint32Array(HIST_BUCKETS), ...NO_COUNTS };
    for (let number = newest; number > newest - this.#spans.length && number >= 0; number -= 1) {
      const span = this.#spans[number % this.#spans.length];
      if (span?.number !== number) continue;
      addDelta(total.hist, span.hist, NOTHING);
      addTo(total, span);
      if (countOf(total.hist) >= enough) break;
    }
    return total;
  }
}
