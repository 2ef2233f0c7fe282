/** Runs something soon after it was asked for: at once the first time, then no more often than a gap allows. */

/** A run takes at most this share of the time, so that a slow one leaves the event loop alive. */
const MAX_DUTY = 0.6;

export class Coalescer {
  readonly #run: () => void;
  readonly #gapMs: number;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #notBeforeMs = 0;
  readonly #ending = new AbortController();

  constructor(run: () => void, gapMs: number) {
    this.#run = run;
    this.#gapMs = gapMs;
  }

  /** @param delayMs not before this time has passed; the earliest of several requests counts. */
  request(delayMs = 0): void {
    if (this.#immediate !== undefined || this.#ending.signal.aborted) return;
    const nowMs = performance.now();
    const atMs = Math.max(nowMs + delayMs, this.#notBeforeMs);
    if (atMs <= nowMs) {
      clearTimeout(this.#timer);
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.#immediate = setImmediate(() => this.#now());
    } else if (atMs < this.#timerAtMs) {
      clearTimeout(this.#timer);
      this.#timerAtMs = atMs;
      this.#timer = setTimeout(() => this.#now(), atMs - nowMs);
    }
  }

  stop(): void {
    this.#ending.abort();
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #now(): void {
    this.#immediate = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const startMs = performance.now();
    try {
      this.#run();
    } finally {
      const endMs = performance.now();
      this.#notBeforeMs = endMs + Math.max(this.#gapMs, ((endMs - startMs) * (1 - MAX_DUTY)) / MAX_DUTY);
    }
  }
}
