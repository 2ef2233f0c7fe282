/** From a slot's recent waits to what the controller looks at. Pure. */
import { countOf, quantileNs } from '../observe/histogram.ts';
import type { RollingWaits } from '../observe/rolling-waits.ts';
import { MIN_WAITS, type SlotSample } from './severity.ts';

/**
 * The newest moments that have enough waits to say something, at most the whole window. Bursts are fewer than waits
 * (a busy worker's ends after 100 ms of CPU), so misses may need more of it.
 */
export const slotSampleOf = (waits: RollingWaits, budgetMs: number, nowMs: number): SlotSample => {
  const recent = waits.sum(nowMs, MIN_WAITS);
  const enough = recent.bursts >= MIN_WAITS ? recent : waits.sum(nowMs);
  const { bursts, misses, throttleMisses } = enough;
  return {
    budgetMs,
    p95WaitMs: quantileNs(recent.hist, 0.95) / 1e6,
    waits: countOf(recent.hist),
    waitMs: recent.waitMs,
    burstWaitMs: bursts < MIN_WAITS ? enough.waitMs / Math.max(1, bursts) : 0,
    bursts,
    misses,
    throttleMisses,
  };
};
