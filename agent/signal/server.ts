/**
 * The signal endpoint: node:http without a framework, because it answers inside other people's requests. It never
 * answers 5xx, never redirects, reads no body but a report's and logs no request.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer } from '../lean-http.ts';
import { ALLOW_UNKNOWN, type Answer, PROBLEMS, routeOf } from './answer.ts';
import type { Connections } from './connections.ts';
import type { Caller, SignalHandler } from './handler.ts';

export interface ServerParts {
  handler: SignalHandler;
  connections: Connections;
  /** @param remoteAddress undefined on a Unix socket. */
  callerOf: (remoteAddress: string | undefined) => Caller;
  /** Hears of each request how long it held the event loop. */
  onHandled?: (ms: number) => void;
}

/** Proxies forward cookies; a refused header would be a denial in Traefik and a 500 in nginx. */
const MAX_HEADER_BYTES = 40 * 1024;
/** A body that comes with a question is thrown away, up to here. */
const MAX_BODY_BYTES = 64 * 1024;
/** Neither a proxy's idle connection nor a long poll is silent for so long. */
const SILENT_SOCKET_MS = 120_000;

/** How long a connection that ends may still send. */
const LINGER_MS = 500;

const STATUS_TEXT = {
  200: 'OK',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  429: 'Too Many Requests',
};

/** For sockets that node:http gives up on: an answer written by hand. */
const sendRaw = (
  socket: Duplex,
  answer: Omit<Answer, 'status'> & { status: keyof typeof STATUS_TEXT },
): void => {
  if (!socket.writable) return;
  const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${answer.status} ${STATUS_TEXT[answer.status]}\r\n${headers.join('')}`;
  socket.end(`${head}Connection: close\r\n\r\n${answer.body}`);
  // At once, a reset would overtake the answer where the client is still sending.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
};

const NOT_FOUND = { status: 404, headers: { 'Content-Length': 0 }, body: '' } as const;
const UNREADABLE = {
  status: 400,
  headers: { 'Content-Type': 'application/problem+json', 'Content-Length': PROBLEMS[400].length },
  body: PROBLEMS[400],
} as const;

/** What a broken request wanted, where its first line is still readable. */
const brokenTarget = (packet: unknown): string =>
  Buffer.isBuffer(packet)
    ? (/^[^\s]{1,32} ([^\s]{1,1024})/.exec(packet.toString('latin1', 0, 1_100))?.[1] ?? '')
    : '';

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Throws the body away, and ends it when it is long: reading it ourselves keeps node from doing it without a limit. */
const discardBody = (request: IncomingMessage): void => {
  let bytes = 0;
  request.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) request.socket.destroy();
  });
  request.read(0);
};

class Endpoint {
  readonly #parts: ServerParts;
  /** Sockets in the middle of an answer or of a body: nothing else may be written into them. */
  readonly #answering = new WeakSet<Duplex>();
  readonly #sending = new WeakSet<Duplex>();

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { handler, connections, callerOf } = this.#parts;
    const { socket } = request;
    if (!connections.isOrderly(socket)) return;
    const caller = callerOf(socket.remoteAddress);
    try {
      const route = routeOf(request.url ?? '');
      if (hasBody(request)) {
        this.#sending.add(socket);
        request.once('close', () => this.#sending.delete(socket));
        if (route !== 'report') discardBody(request);
      }
      if (route === 'shed' || route === 'shed-403') {
        const answer = handler.decide(route, caller);
        if (answer === undefined) {
          connections.block(caller.id);
          return;
        }
        response.writeHead(answer.status, answer.headers);
        response.end(answer.body);
        return;
      }
      this.#answering.add(socket);
      response.once('close', () => this.#answering.delete(socket));
      handler.serve(route, request, response, caller);
    } catch {
      if (response.headersSent) return;
      response.writeHead(ALLOW_UNKNOWN.status, ALLOW_UNKNOWN.headers).end();
    }
  }

  /** CONNECT, which a proxy may copy from its client: it is a method like any other, and never a tunnel. */
  onConnect(request: IncomingMessage, socket: Duplex): void {
    this.#answerRaw(socket, request.url ?? '', NOT_FOUND);
  }

  onClientError(error: NodeJS.ErrnoException & { rawPacket?: unknown }, socket: Duplex): void {
    const isMidway = this.#answering.has(socket) || this.#sending.has(socket);
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || isMidway) {
      socket.destroy();
      return;
    }
    const otherwise = error.code === 'HPE_HEADER_OVERFLOW' ? ALLOW_UNKNOWN : UNREADABLE;
    this.#answerRaw(socket, brokenTarget(error.rawPacket), otherwise);
  }

  #answerRaw(socket: Duplex, target: string, otherwise: Parameters<typeof sendRaw>[1]): void {
    const { handler, callerOf } = this.#parts;
    const route = routeOf(target);
    if (route !== 'shed' && route !== 'shed-403') {
      sendRaw(socket, otherwise);
      return;
    }
    const { remoteAddress } = socket as Socket;
    sendRaw(socket, handler.decide(route, callerOf(remoteAddress)) ?? ALLOW_UNKNOWN);
  }
}

/** Does not listen yet. */
export const createSignalServer = (parts: ServerParts): Server => {
  const endpoint = new Endpoint(parts);
  const { connections, callerOf, onHandled } = parts;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const startMs = performance.now();
    endpoint.onRequest(request, response);
    onHandled?.(performance.now() - startMs);
  };
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: 2_000,
      requestTimeout: 2_000,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 75_000,
      keepAlive: true,
      // HTTP/1.1 wants a Host header; health checks of proxies often have none.
      requireHostHeader: false,
    },
    onRequest,
  );
  server.setTimeout(SILENT_SOCKET_MS);
  server.on('connection', (socket: Socket) => {
    connections.admit(socket, callerOf(socket.remoteAddress).id);
  });
  // Node would answer 417 on its own; what the client expects is no reason to refuse.
  server.on('checkExpectation', onRequest);
  server.on('connect', (request, socket) => {
    endpoint.onConnect(request, socket);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    endpoint.onClientError(error, socket);
  });
  return server;
};
