/** What is the same in every framework: which requests are exempt, what a rejection looks like. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Wish } from './cursor.ts';
import { guarded } from './options.ts';

export interface RequestOptions<Request = IncomingMessage> {
  /** Never shed. Default: /healthz, /readyz, /livez, /metrics and what is below them. */
  exempt?: readonly RegExp[] | ((request: Request) => boolean) | undefined;
  /** 0 .. 1, 1 is the most important. What throws is no priority. */
  priority?: ((request: Request) => number | undefined) | undefined;
  /** Whose request it is; the same key has the same outcome. */
  key?: ((request: Request) => string | undefined) | undefined;
  /** Of a rejection: 429 (default) or 503. */
  status?: 429 | 503 | undefined;
  /** Called for each rejected request. */
  onShed?: ((request: Request) => void) | undefined;
}

const HEALTH_PATHS = [/^\/(healthz|readyz|livez|metrics)(\/|$)/];

/** What the app gave us may throw; then there is no answer. */
const attempt = <T>(ask: () => T | undefined): T | undefined => {
  try {
    return ask();
  } catch {
    return undefined;
  }
};

export const pathOf = (url: string | undefined): string => (url ?? '').split('?', 1)[0] ?? '';

export class RequestRules<Request> {
  readonly #options: RequestOptions<Request>;
  readonly #urlOf: (request: Request) => string | undefined;
  readonly onShed: (request: Request) => void;

  constructor(options: RequestOptions<Request> = {}, urlOf: (request: Request) => string | undefined) {
    this.#options = options;
    this.#urlOf = urlOf;
    this.onShed = guarded(options.onShed);
  }

  get status(): 429 | 503 {
    return this.#options.status === 503 ? 503 : 429;
  }

  isExempt(request: Request): boolean {
    const { exempt = HEALTH_PATHS } = this.#options;
    return (
      attempt(() => {
        if (typeof exempt === 'function') return exempt(request) === true;
        const path = pathOf(this.#urlOf(request));
        // Unlike test(), search() has no memory in a pattern with the flag g.
        return exempt.some((pattern) => path.search(pattern) !== -1);
      }) ?? false
    );
  }

  wishOf(request: Request): Wish {
    const { priority, key } = this.#options;
    const wanted = priority && attempt(() => priority(request));
    const owner = key && attempt(() => key(request));
    return {
      priority: typeof wanted === 'number' && Number.isFinite(wanted) ? wanted : undefined,
      key: owner === undefined || owner === null ? undefined : String(owner),
    };
  }
}

/** Headers of a rejection. X-Envoy-Ratelimited keeps meshes from trying again at once. */
export const rejectionHeaders = (retryAfterMs: number): Record<string, string> => ({
  'Retry-After': String(Math.max(1, Math.ceil(retryAfterMs / 1000))),
  'X-Envoy-Ratelimited': '1',
  'Cache-Control': 'no-store',
});

/** Answers with an empty body. False: somebody else has answered already. */
export const reject = (response: ServerResponse, status: 429 | 503, retryAfterMs: number): boolean => {
  if (response.headersSent || response.writableEnded || response.destroyed) return false;
  response.writeHead(status, { ...rejectionHeaders(retryAfterMs), 'Content-Length': '0' });
  response.end();
  return true;
};
