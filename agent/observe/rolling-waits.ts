/** What a slot did in the last moments: a ring of short spans, each with its own histogram. */
import { addDelta, HIST_BUCKETS } from './histogram.ts';

/** Sums over the spans that are still in the window. */
export interface RecentWaits {
  hist: Uint32Array;
  bursts: number;
  /** Misses of any reason but throttling, which is the pod's own limit. */
  misses: number;
}

interface Span extends RecentWaits {
  number: number;
}

const NOTHING = new Uint32Array(HIST_BUCKETS);

export class RollingWaits {
  readonly #spans: Span[];
  readonly #spanMs: number;

  /** @param spans how many; @param spanMs how long each is. */
  constructor(spans: number, spanMs: number) {
    this.#spanMs = spanMs;
    this.#spans = Array.from({ length: spans }, () => ({
      number: -1,
      hist: new Uint32Array(HIST_BUCKETS),
      bursts: 0,
      misses: 0,
    }));
  }

  add(hist: Uint32Array, histBefore: Uint32Array, bursts: number, misses: number, nowMs: number): void {
    const number = Math.floor(nowMs / this.#spanMs);
    const span = this.#spans[number % this.#spans.length];
    if (span === undefined) return;
    if (span.number !== number) {
      span.number = number;
      span.hist.fill(0);
      span.bursts = 0;
      span.misses = 0;
    }
    addDelta(span.hist, hist, histBefore);
    span.bursts += bursts;
    span.misses += misses;
  }

  sum(nowMs: number): RecentWaits {
    const oldest = Math.floor(nowMs / this.#spanMs) - this.#spans.length + 1;
    const total: RecentWaits = { hist: new Uint32Array(HIST_BUCKETS), bursts: 0, misses: 0 };
    for (const span of this.#spans) {
      if (span.number < oldest) continue;
      addDelta(total.hist, span.hist, NOTHING);
      total.bursts += span.bursts;
      total.misses += span.misses;
    }
    return total;
  }
}
