/**
 * Asks the signal about each request (`GET /v1/shed`). For apps that cannot follow it; each request then waits for
 * the answer, at most timeoutMs. After three failures in a row it asks only now and then, so that a signal that
 * hangs does not cost every request its timeout.
 */
import type { Transport } from './transport.ts';

export interface Verdict {
  shed: boolean;
  retryAfterMs: number;
}

const ALLOW: Verdict = { shed: false, retryAfterMs: 0 };
const FAILURES_TO_PAUSE = 3;
const PAUSE_MS = 1_000;
const MAX_PENDING = 64;

export class AskEach {
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  #failures = 0;
  #pausedUntilMs = 0;

  constructor(transport: Transport, timeoutMs: number) {
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
  }

  get isPaused(): boolean {
    return this.#pausedUntilMs > performance.now();
  }

  /** Asks nothing any more. */
  close(): void {
    this.#pausedUntilMs = Number.POSITIVE_INFINITY;
  }

  async ask(): Promise<Verdict> {
    if (this.isPaused || this.#transport.pending >= MAX_PENDING) return ALLOW;
    const reply = await this.#transport.ask({ path: '/v1/shed', timeoutMs: this.#timeoutMs });
    const isKnown = reply?.status === 200 || reply?.status === 429;
    this.#failures = isKnown ? 0 : this.#failures + 1;
    if (this.#failures >= FAILURES_TO_PAUSE) this.#pausedUntilMs = performance.now() + PAUSE_MS;
    return reply?.status === 429 ? { shed: true, retryAfterMs: reply.retryAfterMs } : ALLOW;
  }
}
