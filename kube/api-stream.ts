/** The body of an answer. It is read once. */
import type { IncomingMessage } from 'node:http';
import { type ApiFailure, apiFailure } from './api-failure.ts';
import type { Call } from './call.ts';

export class ApiStream {
  readonly #response: IncomingMessage;
  readonly #call: Call;

  constructor(response: IncomingMessage, call: Call) {
    this.#response = response;
    this.#call = call;
  }

  /** Breaks it off; what reads it is told why. */
  end(why: ApiFailure): void {
    this.#call.end(why);
  }

  /**
   * @param onChunk where it throws, the stream is broken off as a fault of the protocol.
   * @returns when it is over: undefined where the server ended it in order.
   */
  read(onChunk: (chunk: Buffer) => void): Promise<ApiFailure | undefined> {
    return new Promise((resolve) => {
      const over = (failure: ApiFailure | undefined): void => {
        this.#call.release();
        resolve(failure);
      };
      this.#response
        .on('data', (chunk: Buffer) => {
          try {
            onChunk(chunk);
          } catch (error) {
            this.end(apiFailure('protocol', error instanceof Error ? error.message : String(error)));
          }
        })
        .once('end', () => over(undefined))
        .once('error', (error) => over(this.#call.failureOf(error)))
        .once('close', () => over(this.#call.failureOf(new Error('the connection was closed'))));
    });
  }

  async text(maxBytes: number): Promise<string | ApiFailure> {
    const parts: Buffer[] = [];
    let bytes = 0;
    const failure = await this.read((chunk) => {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
      parts.push(chunk);
    });
    return failure ?? Buffer.concat(parts).toString('utf8');
  }
}
