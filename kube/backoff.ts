/** Exponential back-off with full jitter above a floor, so that a thousand agents do not come back together. */

export interface BackoffOptions {
  minMs: number;
  maxMs: number;
  /** 0 <= x < 1. */
  random?: () => number;
}

export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor({ minMs, maxMs, random = Math.random }: BackoffOptions) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** @param atLeastMs what the server asked for; jitter comes on top of it. */
  nextMs(atLeastMs = 0): number {
    const ceilingMs = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    const jitteredMs = ceilingMs / 2 + (this.#random() * ceilingMs) / 2;
    return Math.max(jitteredMs, atLeastMs + this.#random() * this.#minMs);
  }

  reset(): void {
    this.#failures = 0;
  }
}
