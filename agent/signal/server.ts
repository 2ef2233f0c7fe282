/**
 * The signal endpoint: node:http without a framework, because it answers inside other people's requests. It never
 * answers 5xx, never redirects, reads no body and logs no request.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { createServer } from '../lean-http.ts';
import type { LevelBoard, PublishedLevel } from '../shed/level-board.ts';
import { type Answer, allowUnknown, decide, levelBody, routeOf, waitMsOf } from './answer.ts';

export interface SignalCounts {
  onDecision(key: string, denied: boolean): void;
  onUnknown(): void;
}

export interface SignalOptions {
  board: LevelBoard;
  /** The caller of a request; undefined: nobody that we know. */
  keyOf: (remoteAddress: string | undefined) => string | undefined;
  counts: SignalCounts;
  /** Part of the ETag: numbers of an earlier run must not match. */
  bootId: string;
  nowMs: () => number;
}

const MAX_CONNECTIONS = 4_096;
const MAX_CONNECTIONS_PER_ADDRESS = 64;
const MAX_WAITERS_PER_CALLER = 4;
const DECISIONS_PER_S = 5_000;
const LEVELS_PER_S = 50;
/** Proxies forward cookies; a refused header would be a denial in Traefik and a 500 in nginx. */
const MAX_HEADER_BYTES = 32 * 1024;

const send = (response: ServerResponse, answer: Answer): void => {
  response.writeHead(answer.status, answer.headers);
  response.end(answer.body);
};

/** For sockets that node:http gives up on: the same answer, written by hand. */
const sendRaw = (socket: Duplex, statusLine: string): void => {
  if (!socket.writable) return;
  socket.end(
    `HTTP/1.1 ${statusLine}\r\nContent-Length: 0\r\nX-SCX-SLO-State: unknown\r\nConnection: close\r\n\r\n`,
  );
};

/** Calls a second, per caller; what is over gets the constant 200. */
class RateLimit {
  readonly #calls = new Map<string, number>();
  #second = 0;

  isOver(key: string, limit: number, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#calls.clear();
    }
    const calls = (this.#calls.get(key) ?? 0) + 1;
    this.#calls.set(key, calls);
    return calls > limit;
  }
}

class SignalHandler {
  readonly #options: SignalOptions;
  readonly #decisions = new RateLimit();
  readonly #levels = new RateLimit();

  constructor(options: SignalOptions) {
    this.#options = options;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { keyOf, counts } = this.#options;
    const route = routeOf(request.url ?? '');
    const key = keyOf(request.socket.remoteAddress);
    if (route === 'none') {
      response.writeHead(404, { 'Content-Length': 0, 'Cache-Control': 'no-store' }).end();
    } else if (route === 'level') {
      this.#level(request, response, key);
    } else if (key === undefined) {
      counts.onUnknown();
      send(response, allowUnknown());
    } else {
      send(response, this.#decide(route === 'shed' ? 429 : 403, key));
    }
  }

  #decide(denyStatus: 403 | 429, key: string): Answer {
    const { board, counts, nowMs } = this.#options;
    if (this.#decisions.isOver(key, DECISIONS_PER_S, nowMs())) return allowUnknown();
    const answer = decide(denyStatus, board.get(key), [Math.random(), Math.random()]);
    counts.onDecision(key, answer.status !== 200);
    return answer;
  }

  #level(request: IncomingMessage, response: ServerResponse, key: string | undefined): void {
    const { board, nowMs } = this.#options;
    if (key === undefined) this.#options.counts.onUnknown();
    if (key === undefined || this.#levels.isOver(key, LEVELS_PER_S, nowMs())) {
      this.#sendLevel(response, undefined, undefined);
      return;
    }
    const waitMs = waitMsOf(request.url ?? '');
    const seen = request.headers['if-none-match'];
    const isNews = seen !== this.#tagOf(board.get(key));
    if (isNews || waitMs === 0 || board.waiting(key) >= MAX_WAITERS_PER_CALLER) {
      this.#sendLevel(response, board.get(key), seen);
      return;
    }
    const finish = (): void => {
      clearTimeout(timer);
      stop();
      if (!response.writableEnded) this.#sendLevel(response, board.get(key), seen);
    };
    const timer = setTimeout(finish, waitMs);
    const stop = board.onChange(key, finish);
    response.on('close', () => {
      clearTimeout(timer);
      stop();
    });
  }

  #tagOf(level: PublishedLevel | undefined): string {
    return `"${this.#options.bootId}-${level?.seq ?? 0}"`;
  }

  #sendLevel(response: ServerResponse, level: PublishedLevel | undefined, seen: string | undefined): void {
    const { board, nowMs } = this.#options;
    const headers = { ETag: this.#tagOf(level), 'Cache-Control': 'no-store' };
    if (seen === headers.ETag) {
      response.writeHead(304, headers).end();
      return;
    }
    const body = levelBody(level, board.ageMs(nowMs()), Math.random());
    response.writeHead(200, {
      ...headers,
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    });
    response.end(body);
  }
}

const limitConnectionsPerAddress = (server: Server): void => {
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const address = socket.remoteAddress;
    if (address === undefined) return; // a Unix socket: one caller, whole limit
    const count = (open.get(address) ?? 0) + 1;
    open.set(address, count);
    socket.on('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
    if (count > MAX_CONNECTIONS_PER_ADDRESS) socket.destroy();
  });
};

/** Does not listen yet. */
export const createSignalServer = (options: SignalOptions): Server => {
  const handler = new SignalHandler(options);
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    try {
      handler.handle(request, response);
    } catch {
      if (!response.headersSent) send(response, allowUnknown());
    }
  };
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: 2_000,
      requestTimeout: 2_000,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 75_000,
      keepAlive: true,
    },
    answer,
  );
  server.maxConnections = MAX_CONNECTIONS;
  limitConnectionsPerAddress(server);
  // Node would answer 417 on its own; what the client expects is no reason to refuse.
  server.on('checkExpectation', answer);
  server.on('connect', (_request, socket) => {
    sendRaw(socket, '200 OK');
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    sendRaw(socket, error.code === 'HPE_HEADER_OVERFLOW' ? '200 OK' : '400 Bad Request');
  });
  return server;
};
