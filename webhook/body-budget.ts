/** How many bytes of request bodies may be in memory at once: a flood of the largest must not end the process. */
import type { IncomingMessage } from 'node:http';

export class BodyBudget {
  #freeBytes: number;
  readonly #bodyMaxBytes: number;

  /** @param bodyMaxBytes what a body without a length counts */
  constructor(totalBytes: number, bodyMaxBytes: number) {
    this.#freeBytes = totalBytes;
    this.#bodyMaxBytes = bodyMaxBytes;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** @returns what gives the bytes back, to be called once; undefined: there is no room now */
  take(request: IncomingMessage): (() => void) | undefined {
    const declared = Number(request.headers['content-length'] ?? this.#bodyMaxBytes);
    const bytes = Math.min(declared, this.#bodyMaxBytes);
    if (bytes > this.#freeBytes) {
      return undefined;
    }
    this.#freeBytes -= bytes;
    return () => {
      this.#freeBytes += bytes;
    };
  }
}
