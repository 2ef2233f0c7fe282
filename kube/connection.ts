/**
 * Requests to one API server over one pool of TLS connections. Knows no resource. Failures are values; nothing is
 * retried here but what a server closed just when it was used again.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Agent } from 'node:https';
import { type ApiFailure, apiFailure, failureOfResponse, isApiFailure } from './api-failure.ts';
import { ApiStream } from './api-stream.ts';
import { Call } from './call.ts';
import type { Access, Credentials } from './credentials.ts';
import { type JsonObject, objectOf } from './json.ts';
import { TlsPool } from './tls-pool.ts';

/** As CommonJS loads it: an ES import of node:https evaluates undici as well, 14 MB that nobody here uses. */
const { request: httpsRequest } = process.getBuiltinModule('node:https');

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface ApiRequest {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** For example `/api/v1/pods`. */
  path: string;
  /** undefined and empty values are left out. */
  query?: Query;
  body?: JsonObject;
  /** Of the body; application/json if not given. A PATCH needs one of its own. */
  contentType?: string;
  signal?: AbortSignal;
  /** Of a whole answer, of a stream its beginning. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;
/** Pages of 500 objects, or, where the server lost its place, a list in one piece. */
const BODY_MAX_BYTES = 256 * 1024 * 1024;
const ERROR_BODY_MAX_BYTES = 64 * 1024;
const UNAUTHORIZED = 401;

export interface ConnectionOptions {
  userAgent?: string;
}

export class KubeConnection {
  readonly #credentials: Credentials;
  readonly #pool = new TlsPool();
  readonly #userAgent: string;
  readonly #base: URL;

  /** Throws where the server's address is no https URL: a token must not travel in the clear. */
  constructor(credentials: Credentials, { userAgent = 'scx-slo' }: ConnectionOptions = {}) {
    this.#credentials = credentials;
    this.#userAgent = userAgent;
    this.#base = new URL(credentials.server);
    if (this.#base.protocol !== 'https:') throw new Error(`${credentials.server} is no https address`);
  }

  get server(): string {
    return this.#base.origin;
  }

  /** TLS connections that were opened so far. */
  get connectionsOpened(): number {
    return this.#pool.opened;
  }

  /** Ends what is under way and closes all connections. */
  close(): void {
    this.#pool.close();
  }

  /** @returns the object that the server answered with (2xx). */
  async json(request: ApiRequest): Promise<JsonObject | ApiFailure> {
    const opened = await this.#open(request);
    if (isApiFailure(opened)) return opened;
    const body = await opened.stream.text(BODY_MAX_BYTES);
    if (isApiFailure(body)) return body;
    try {
      return objectOf(JSON.parse(body)) ?? apiFailure('protocol', 'the answer is no JSON object');
    } catch {
      return apiFailure('protocol', `the answer of ${body.length} characters is no JSON`);
    }
  }

  /** @returns the body as it comes, for as long as it comes. */
  async stream(request: ApiRequest): Promise<ApiStream | ApiFailure> {
    const opened = await this.#open(request);
    if (isApiFailure(opened)) return opened;
    opened.call.clearTimeout();
    return opened.stream;
  }

  async #open(request: ApiRequest): Promise<{ stream: ApiStream; call: Call } | ApiFailure> {
    const first = await this.#openOnce(request);
    const again = isApiFailure(first) && first.failed === 'network' && first.reason === 'StaleConnection';
    const opened = again ? await this.#openOnce(request) : first;
    if (isApiFailure(opened)) return opened;
    const { statusCode = 0, headers } = opened.response;
    if (statusCode >= 200 && statusCode < 300) return opened;
    if (statusCode === UNAUTHORIZED) this.#credentials.forget();
    const body = await opened.stream.text(ERROR_BODY_MAX_BYTES);
    return failureOfResponse(statusCode, headers, isApiFailure(body) ? '' : body, Date.now());
  }

  async #openOnce(
    request: ApiRequest,
  ): Promise<{ stream: ApiStream; call: Call; response: IncomingMessage } | ApiFailure> {
    if (request.signal?.aborted) return apiFailure('stopped', 'stopped');
    let access: Access;
    try {
      access = await this.#credentials.read();
    } catch (error) {
      this.#credentials.forget();
      return apiFailure('credentials', error instanceof Error ? error.message : String(error));
    }
    if (request.signal?.aborted) return apiFailure('stopped', 'stopped');
    try {
      const sent = this.#send(request, access, this.#pool.agent(access.tls));
      const call = new Call(sent, request.signal, request.timeoutMs ?? TIMEOUT_MS);
      const response = await call.response();
      return isApiFailure(response) ? response : { stream: new ApiStream(response, call), call, response };
    } catch (error) {
      // For example a CA that is no certificate, or a header value that HTTP does not allow.
      return apiFailure('credentials', error instanceof Error ? error.message : String(error));
    }
  }

  #send(request: ApiRequest, access: Access, agent: Agent): ClientRequest {
    const { method = 'GET', body } = request;
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const sent = httpsRequest({
      agent,
      hostname: this.#base.hostname.replace(/^\[|\]$/g, ''),
      port: this.#base.port === '' ? 443 : this.#base.port,
      path: `${this.#base.pathname.replace(/\/$/, '')}${request.path}${queryText(request.query)}`,
      method,
      headers: {
        Accept: 'application/json',
        'User-Agent': this.#userAgent,
        ...access.headers,
        ...(content === undefined
          ? {}
          : {
              'Content-Type': request.contentType ?? 'application/json',
              'Content-Length': content.length,
            }),
      },
    });
    sent.end(content);
    return sent;
  }
}

const queryText = (query: Query = {}): string => {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') params.set(name, String(value));
  }
  return params.size === 0 ? '' : `?${params}`;
};
