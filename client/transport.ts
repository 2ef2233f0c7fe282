/** HTTP to the signal: small bounded answers, no redirects, no proxies, nothing that keeps the app's process alive. */
import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import type { Socket } from 'node:net';

/** Where the signal is: a host and port, or a Unix socket. */
export type Endpoint = { host: string; port: number } | { socketPath: string };

/** @param text `http://HOST[:PORT]` or `unix:/PATH`. @returns undefined where it is neither. */
export const parseEndpoint = (text: string): Endpoint | undefined => {
  if (text.startsWith('unix:/')) return { socketPath: text.slice('unix:'.length) };
  try {
    const url = new URL(text);
    if (url.protocol !== 'http:' || url.hostname === '') return undefined;
    // URL keeps the brackets of an IPv6 address, connect() wants none.
    return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80) };
  } catch {
    return undefined;
  }
};

export interface Reply {
  status: number;
  etag: string | undefined;
  retryAfterMs: number;
  body: string;
}

export interface Ask {
  path: string;
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
  timeoutMs: number;
}

const MAX_BODY_BYTES = 8_192;

/**
 * Calls back once after the given time, but lets the event loop read what has arrived first: after a long turn of
 * the loop timers run before sockets, and an answer that came in time would be taken for none.
 */
export const afterReading = (timeoutMs: number, callback: () => void): (() => void) => {
  let over: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    over = setImmediate(callback);
    over.unref();
  }, timeoutMs);
  timer.unref();
  return () => {
    clearTimeout(timer);
    if (over !== undefined) clearImmediate(over);
  };
};

const retryAfterMsOf = (response: IncomingMessage): number => {
  const seconds = Number(response.headers['retry-after'] ?? Number.NaN);
  return Number.isFinite(seconds) ? Math.min(60, Math.max(0, seconds)) * 1000 : 0;
};

export class Transport {
  readonly #endpoint: Endpoint;
  readonly #agent: Agent;
  readonly #open = new Set<ClientRequest>();

  constructor(endpoint: Endpoint, maxSockets: number) {
    this.#endpoint = endpoint;
    this.#agent = new Agent({ keepAlive: true, maxSockets, maxFreeSockets: 2 });
  }

  /** Requests that have not ended. */
  get pending(): number {
    return this.#open.size;
  }

  /** @returns undefined: no answer in time, none at all, or one that is too large. Never rejects. */
  ask({ path, method = 'GET', headers = {}, body, timeoutMs }: Ask): Promise<Reply | undefined> {
    return new Promise((resolve) => {
      let settled = false;
      const settle = (reply: Reply | undefined): void => {
        if (settled) return;
        settled = true;
        stop();
        if (reply === undefined) call?.destroy();
        resolve(reply);
      };
      const stop = afterReading(timeoutMs, () => settle(undefined));
      const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
      const call = this.#start({ path, method, headers: { ...headers, ...length } }, () => settle(undefined));
      call?.on('response', (response) => readReply(response, settle));
      call?.end(body);
    });
  }

  /** For streams: the response is the caller's. @param onEnd the request failed or its connection closed. */
  open(path: string, headers: Record<string, string>, onEnd: () => void): ClientRequest | undefined {
    const call = this.#start({ path, method: 'GET', headers }, onEnd);
    call?.end();
    return call;
  }

  close(): void {
    for (const call of this.#open) call.destroy();
    this.#agent.destroy();
  }

  #start(options: RequestOptions, onEnd: () => void): ClientRequest | undefined {
    try {
      const call = request({ ...this.#endpoint, ...options, agent: this.#agent });
      this.#open.add(call);
      call.on('socket', (socket: Socket) => socket.unref());
      call.on('error', onEnd);
      call.on('close', () => {
        this.#open.delete(call);
        onEnd();
      });
      return call;
    } catch {
      // A header or path that node:http does not take.
      setImmediate(onEnd);
      return undefined;
    }
  }
}

const readReply = (response: IncomingMessage, settle: (reply: Reply | undefined) => void): void => {
  let body = '';
  response.setEncoding('utf8');
  response.on('data', (part: string) => {
    body += part;
    if (body.length > MAX_BODY_BYTES) settle(undefined);
  });
  response.on('error', () => settle(undefined));
  response.on('end', () => {
    const { statusCode = 0, headers, complete } = response;
    const reply = { status: statusCode, etag: headers.etag, retryAfterMs: retryAfterMsOf(response), body };
    settle(complete ? reply : undefined);
  });
};
