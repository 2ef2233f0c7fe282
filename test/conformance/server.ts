/**
 * A signal endpoint for tests of clients and proxies: every answer of the contract and every way to fail, chosen from
 * outside. Written from the contract, not from the product's server, so that each can be held against the other.
 *
 *   node test/conformance/server.ts     prints {"signal":"http://...","control":"http://..."} and serves until SIGTERM
 *   PUT <control>/  {"shed":0.5,"misbehaviour":null,"retryAfterS":3,"stream":true}
 *   GET <control>/  what it was told and what it was asked
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listenLow } from './low-port.ts';
import { isMisbehaviour, type Misbehaviour, misbehave } from './misbehaviour.ts';

export interface Behaviour {
  /** Share of denials; 0 and 1 are exact. */
  shed: number;
  misbehaviour: Misbehaviour | undefined;
  retryAfterS: number;
  /** False: 404, as a signal of before the stream. */
  stream: boolean;
  /** A stream beyond these gets the level once and ends. */
  maxStreams: number;
}

export interface Asked {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

const HEARTBEAT_MS = 500;
const MAX_ASKED = 10_000;
const MAX_WAIT_MS = 30_000;

const DENIAL = (status: number, title: string): string =>
  JSON.stringify({ type: 'about:blank', title, status });

const hasPrefix = (url: string, prefix: string): boolean =>
  url === prefix || url.startsWith(`${prefix}/`) || url.startsWith(`${prefix}?`);

const textOf = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
};

export class ConformanceServer {
  readonly asked: Asked[] = [];
  #behaviour: Behaviour = { shed: 0, misbehaviour: undefined, retryAfterS: 3, stream: true, maxStreams: 4 };
  #seq = 1;
  readonly #changed = new Set<() => void>();
  #streams = 0;
  #server: Server | undefined;
  #port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get behaviour(): Behaviour {
    return this.#behaviour;
  }

  /** Listens on a free port, or on the one that it had: a restart keeps the address. */
  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer(
      { maxHeaderSize: 256 * 1024, keepAliveTimeout: 75_000 },
      (request, response) => {
        void this.#answer(request, response).catch(() => response.destroy());
      },
    );
    server.on('clientError', (_error, socket) => socket.destroy());
    this.#port = await listenLow(server, this.#port);
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    server.closeAllConnections();
    await closed;
  }

  set(change: Partial<Behaviour>): void {
    this.#behaviour = { ...this.#behaviour, ...change };
    this.#seq += 1;
    const waiting = [...this.#changed];
    this.#changed.clear();
    for (const wake of waiting) wake();
  }

  /** Requests whose path starts with `prefix`. */
  askedFor(prefix: string): Asked[] {
    return this.asked.filter(({ url }) => url.startsWith(prefix));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const asked: Asked = { method, url, headers, body: '' };
    if (this.asked.length < MAX_ASKED) this.asked.push(asked);
    const { misbehaviour } = this.#behaviour;
    if (misbehaviour !== undefined) {
      misbehave(misbehaviour, request, response);
      return;
    }
    if (hasPrefix(url, '/v1/shed')) this.#decide(response, 429);
    else if (hasPrefix(url, '/v1/shed-403')) this.#decide(response, 403);
    else if (hasPrefix(url, '/v1/level/stream') && this.#behaviour.stream) this.#stream(response);
    else if (url === '/v1/level' || url.startsWith('/v1/level?')) this.#level(request, response);
    else if (url === '/v1/report' && method === 'POST') {
      asked.body = await textOf(request);
      response.writeHead(204).end();
    } else response.writeHead(404, { 'Content-Length': 0 }).end();
  }

  #decide(response: ServerResponse, denial: 429 | 403): void {
    const { shed, retryAfterS } = this.#behaviour;
    if (Math.random() >= shed) {
      response.writeHead(200, {
        'Content-Length': 0,
        'Cache-Control': 'no-store',
        'X-SCX-SLO-Shed': shed.toFixed(2),
        'X-SCX-SLO-State': shed > 0 ? 'shedding' : 'ok',
      });
      response.end();
      return;
    }
    const body = DENIAL(denial, denial === 429 ? 'Too Many Requests' : 'Forbidden');
    response.writeHead(denial, {
      'Retry-After': retryAfterS,
      'X-Envoy-Ratelimited': 1,
      'Cache-Control': 'no-store',
      'Content-Type': 'application/problem+json',
      'Content-Length': body.length,
    });
    response.end(body);
  }

  get #tag(): string {
    return `"conformance-${this.#seq}"`;
  }

  #levelJson(): string {
    const { shed, retryAfterS } = this.#behaviour;
    return JSON.stringify({
      v: 1,
      shed,
      state: shed > 0 ? 'shedding' : 'ok',
      seq: this.#seq,
      age_ms: 20,
      ttl_ms: 1000,
      retry_after_ms: shed > 0 ? retryAfterS * 1000 : 0,
      importance: 50,
    });
  }

  #level(request: IncomingMessage, response: ServerResponse): void {
    const seen = request.headers['if-none-match'];
    const waitMs = Math.min(MAX_WAIT_MS, Number(/[?&]wait=([0-9]{1,6})/.exec(request.url ?? '')?.[1] ?? 0));
    const finish = (): void => {
      this.#changed.delete(finish);
      clearTimeout(timer);
      const headers = { ETag: this.#tag, 'Cache-Control': 'no-store' };
      if (seen === this.#tag) response.writeHead(304, headers).end();
      else response.writeHead(200, { ...headers, 'Content-Type': 'application/json' }).end(this.#levelJson());
    };
    const timer = setTimeout(finish, seen === this.#tag ? waitMs : 0);
    this.#changed.add(finish);
    response.on('close', () => {
      clearTimeout(timer);
      this.#changed.delete(finish);
    });
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    if (this.#streams >= this.#behaviour.maxStreams) {
      response.end(`retry: 5000\n\nevent: level\ndata: ${this.#levelJson()}\n\n`);
      return;
    }
    this.#streams += 1;
    response.write('retry: 1000\n\n');
    const write = (event: string, data: string): void => {
      if (this.#behaviour.misbehaviour === undefined) response.write(`event: ${event}\ndata: ${data}\n\n`);
    };
    const level = (): void => {
      write('level', this.#levelJson());
      this.#changed.add(level);
    };
    level();
    const beat = setInterval(() => {
      write('heartbeat', JSON.stringify({ v: 1, seq: this.#seq, age_ms: 20, ttl_ms: 1000 }));
    }, HEARTBEAT_MS);
    response.on('close', () => {
      this.#streams -= 1;
      clearInterval(beat);
      this.#changed.delete(level);
    });
  }
}

/** What a request to the control port may change; other keys and wrong types change nothing. */
const changeOf = (json: Readonly<Record<string, unknown>>): Partial<Behaviour> => ({
  ...(typeof json.shed === 'number' && { shed: json.shed }),
  ...(typeof json.retryAfterS === 'number' && { retryAfterS: json.retryAfterS }),
  ...(typeof json.stream === 'boolean' && { stream: json.stream }),
  ...('misbehaviour' in json && {
    misbehaviour: isMisbehaviour(json.misbehaviour) ? json.misbehaviour : undefined,
  }),
});

const controlOf = (signal: ConformanceServer): Server =>
  createServer(async (request, response) => {
    try {
      if (request.method === 'PUT') signal.set(changeOf(JSON.parse(await textOf(request))));
      response.end(`${JSON.stringify({ ...signal.behaviour, asked: signal.asked.length })}\n`);
    } catch (error) {
      response.writeHead(400).end(String(error));
    }
  });

if (import.meta.main) {
  const signal = new ConformanceServer();
  await signal.start();
  const control = controlOf(signal).listen(0, '127.0.0.1', () => {
    const { port } = control.address() as AddressInfo;
    process.stdout.write(`${JSON.stringify({ signal: signal.url, control: `http://127.0.0.1:${port}` })}\n`);
  });
  process.once('SIGTERM', () => {
    control.close();
    void signal.stop();
  });
}
