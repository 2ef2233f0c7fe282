/** The kernel side's counters of one simulated pod, and PSI's. */
import { bucketOf, HIST_BUCKETS } from '../../agent/observe/histogram.ts';

export class PodMeter {
  readonly hist = new Uint32Array(HIST_BUCKETS);
  bursts = 0;
  misses = 0;
  waitMs = 0;
  ranMs = 0;
  #waiting = 0;
  #waitingSinceMs = 0;
  #pressedMs = 0;

  addWait(waitMs: number): void {
    this.waitMs += waitMs;
    const bucket = bucketOf(waitMs * 1e6);
    this.hist[bucket] = (this.hist[bucket] ?? 0) + 1;
  }

  /** A thread more (1) or less (-1) waits for a CPU. */
  waits(change: 1 | -1, nowMs: number): void {
    if (this.#waiting > 0) this.#pressedMs += nowMs - this.#waitingSinceMs;
    this.#waitingSinceMs = nowMs;
    this.#waiting += change;
  }

  /** cpu.pressure `some total`. */
  pressedMs(nowMs: number): number {
    return this.#pressedMs + (this.#waiting > 0 ? nowMs - this.#waitingSinceMs : 0);
  }
}
