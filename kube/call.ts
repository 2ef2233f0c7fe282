/** One request under way: who may end it, and what is then said of it. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { type ApiFailure, apiFailure } from './api-failure.ts';

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined;

/** What a server does to a connection that it closed while we picked it. */
const STALE_CODES = new Set(['ECONNRESET', 'EPIPE']);

export class Call {
  readonly #request: ClientRequest;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.end(apiFailure('stopped', 'stopped'));
  #timer: NodeJS.Timeout | undefined;
  #ended: ApiFailure | undefined;

  constructor(request: ClientRequest, signal: AbortSignal | undefined, timeoutMs: number) {
    this.#request = request;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
    const message = `no answer within ${timeoutMs} ms`;
    this.#timer = setTimeout(() => this.end(apiFailure('timeout', message)), timeoutMs);
  }

  /** The head of the answer. */
  response(): Promise<IncomingMessage | ApiFailure> {
    return new Promise((resolve) => {
      this.#request.once('response', resolve).on('error', (error) => {
        this.release();
        const isStale = this.#request.reusedSocket && STALE_CODES.has(codeOf(error) ?? '');
        const failure = this.failureOf(error);
        resolve(
          isStale && failure.failed === 'network' ? { ...failure, reason: 'StaleConnection' } : failure,
        );
      });
    });
  }

  /** Breaks off; the first to call it says why. */
  end(why: ApiFailure): void {
    this.#ended ??= why;
    this.#request.destroy();
  }

  failureOf(error: unknown): ApiFailure {
    if (this.#ended !== undefined) return this.#ended;
    const message = error instanceof Error ? error.message || error.name : String(error);
    const code = codeOf(error);
    return apiFailure('network', message, code === undefined ? {} : { reason: code });
  }

  clearTimeout(): void {
    clearTimeout(this.#timer);
  }

  /** It is over: nothing may end it any more. */
  release(): void {
    this.clearTimeout();
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
