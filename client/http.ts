/** Plain node:http, and what Express shares with it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type RequestOptions, RequestRules, reject } from './request-rules.ts';
import type { Shedder } from './shedder.ts';

export type HttpListener = (request: IncomingMessage, response: ServerResponse) => void;

/** Calls `next` for a request that is served, answers one that is shed. */
export class HttpGate {
  readonly #shedder: Shedder;
  readonly #rules: RequestRules<IncomingMessage>;

  constructor(
    shedder: Shedder,
    options: RequestOptions | undefined,
    urlOf: (request: IncomingMessage) => string | undefined,
  ) {
    this.#shedder = shedder;
    this.#rules = new RequestRules(options, urlOf);
  }

  pass(request: IncomingMessage, response: ServerResponse, next: () => void): void {
    if (this.#rules.isExempt(request)) {
      next();
      return;
    }
    const wish = this.#rules.wishOf(request);
    if (!this.#shedder.asksEach) {
      this.#settle(this.#shedder.shouldShed(wish), request, response, next);
      return;
    }
    // setImmediate: what `next` throws is the app's and must not become a rejected promise of ours.
    void this.#shedder.decide(wish).then((shed) => {
      setImmediate(() => this.#settle(shed, request, response, next));
    });
  }

  #settle(shed: boolean, request: IncomingMessage, response: ServerResponse, next: () => void): void {
    if (shed && reject(response, this.#rules.status, this.#shedder.retryAfterMs)) {
      this.#rules.onShed(request);
      return;
    }
    response.once('close', this.#shedder.begin());
    next();
  }
}

export const httpListener = (
  shedder: Shedder,
  listener: HttpListener,
  options: RequestOptions | undefined,
): HttpListener => {
  const gate = new HttpGate(shedder, options, (request) => request.url);
  return (request, response) => gate.pass(request, response, () => listener(request, response));
};
