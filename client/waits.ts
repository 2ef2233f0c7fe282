/** The waits of the last second, at most 512 of them. No I/O. */

const SIZE = 512;
const WINDOW_MS = 1_000;

export class Waits {
  readonly #ms = new Float64Array(SIZE);
  readonly #atMs = new Float64Array(SIZE).fill(Number.NEGATIVE_INFINITY);
  #next = 0;

  /** What is not a wait (NaN, negative, infinite) is dropped. */
  add(waitMs: number, nowMs: number): void {
    if (!(waitMs >= 0 && waitMs < Number.POSITIVE_INFINITY)) return;
    this.#ms[this.#next] = waitMs;
    this.#atMs[this.#next] = nowMs;
    this.#next = (this.#next + 1) % SIZE;
  }

  /** The wait that 95 of 100 do not exceed; undefined: there was none. */
  p95Ms(nowMs: number): number | undefined {
    const recent = this.#ms.filter((_, index) => nowMs - (this.#atMs[index] ?? 0) <= WINDOW_MS).sort();
    return recent[Math.ceil(recent.length * 0.95) - 1];
  }
}
