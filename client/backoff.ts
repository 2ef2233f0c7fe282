/** Pauses between tries of a signal that does not answer: 100 ms, doubled up to 5 s, jittered by half. */

const FIRST_MS = 100;
const MOST_MS = 5_000;

export class Backoff {
  #failures = 0;

  reset(): void {
    this.#failures = 0;
  }

  nextMs(): number {
    const pauseMs = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(10, this.#failures));
    this.#failures += 1;
    return pauseMs * (0.5 + Math.random());
  }
}
