/** The agent's own event-loop delay. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 10;

export class SelfWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  start(): void {
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }

  /** p99 since the last call, in seconds. Node counts the sampling interval in; it is taken out. */
  takeP99S(): number {
    const p99Ms = this.#delay.percentile(99) / 1e6 - RESOLUTION_MS;
    this.#delay.reset();
    return Math.max(0, p99Ms) / 1e3;
  }
}
