/**
 * The agent's own event-loop delay, from how late its tick runs. Node's monitorEventLoopDelay would wake an idle agent
 * a hundred times a second, for 0.4 % of a core.
 */
import { createHistogram } from 'node:perf_hooks';

export class SelfWatch {
  readonly #delaysUs = createHistogram();
  readonly #periodMs: number;
  #tickedAtMs: number | undefined;

  /** @param periodMs of the timer that calls `ticked`. */
  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  ticked(nowMs: number): void {
    if (this.#tickedAtMs !== undefined) {
      const lateMs = nowMs - this.#tickedAtMs - this.#periodMs;
      this.#delaysUs.record(Math.max(1, Math.round(lateMs * 1_000)));
    }
    this.#tickedAtMs = nowMs;
  }

  /** p99 since the last call, in seconds; 0 where nothing ticked since. */
  takeP99S(): number {
    const p99Us = this.#delaysUs.count > 0 ? this.#delaysUs.percentile(99) : 0;
    this.#delaysUs.reset();
    return p99Us / 1e6;
  }
}
