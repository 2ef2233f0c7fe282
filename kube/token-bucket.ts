/** So many at once, then one for each refill time. */
export class TokenBucket {
  readonly #burst: number;
  readonly #refillMs: number;
  #tokens: number;
  #refilledAtMs: number;

  constructor(burst: number, refillMs: number, nowMs: number) {
    this.#burst = burst;
    this.#refillMs = refillMs;
    this.#tokens = burst;
    this.#refilledAtMs = nowMs;
  }

  /** @returns false where there is none left. */
  take(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens === 0) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Nothing was taken for so long that a new one is the same. */
  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens === this.#burst;
  }

  #refill(nowMs: number): void {
    const refilled = Math.floor(Math.max(0, nowMs - this.#refilledAtMs) / this.#refillMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + refilled);
    this.#refilledAtMs += refilled * this.#refillMs;
  }
}
