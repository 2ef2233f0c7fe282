/**
 * An API server's side of the calls: HTTP/1.1 as Go's transport speaks it. The last connection that became idle is used
 * first; a call that finds none dials, and takes whichever is free first, the new one or another's; at most 25 idle ones
 * are kept, a POST is never sent twice, and each call has two seconds.
 */
import { randomUUID } from 'node:crypto';
import { connect, type TLSSocket } from 'node:tls';
import type { Service } from './service.ts';

/** As the certificate has it, whatever address stands for it. */
export const SERVER_NAME = 'scx-slo-webhook.scx-slo-system.svc';

const IDLE_MAX = 25;
const CALL_MS = 2000;

export interface ApiServerOptions {
  service: Service;
  /** PEM of every authority that is trusted now (`caBundle`). */
  caBundle: () => string;
  /** A real API server keeps a connection for as long as it can; fewer calls each means more handshakes. */
  callsPerConnection: number;
}

export interface Call {
  /** Undefined: a whole answer that allows the pod. */
  failure?: string;
  milliseconds: number;
}

interface Connection {
  socket: TLSSocket;
  calls: number;
  received: string;
  finish: ((failure: string | undefined) => void) | undefined;
}

const UID_PLACEHOLDER = '00000000-0000-0000-0000-000000000000';

/** A review with room for a uid: the rest of it is written once. */
export class Review {
  readonly #before: string;
  readonly #after: string;

  constructor(review: { request: object }) {
    const text = JSON.stringify({ ...review, request: { ...review.request, uid: UID_PLACEHOLDER } });
    const [before = '', after = ''] = text.split(UID_PLACEHOLDER);
    const length = Buffer.byteLength(text);
    this.#before = `POST /mutate?timeout=2s HTTP/1.1\r\nHost: ${SERVER_NAME}:443\r\nUser-Agent: kube-apiserver-admission\r\nContent-Length: ${length}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n${before}`;
    this.#after = after;
  }

  text(uid: string): string {
    return this.#before + uid + this.#after;
  }
}

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #idle: Connection[] = [];
  /** Calls without a connection, oldest first. */
  readonly #waiting: ((connection: Connection | string) => void)[] = [];
  readonly #open = new Set<TLSSocket>();
  /** Handshakes that were made. */
  connections = 0;

  constructor(options: ApiServerOptions) {
    this.#options = options;
  }

  close(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** Never rejects. */
  async call(review: Review): Promise<Call> {
    const started = performance.now();
    const failure = await this.#callOnce(review);
    const milliseconds = performance.now() - started;
    return failure === undefined ? { milliseconds } : { failure, milliseconds };
  }

  async #callOnce(review: Review): Promise<string | undefined> {
    const connection = this.#idle.pop() ?? (await this.#nextFree());
    if (typeof connection === 'string') return connection;
    const uid = randomUUID();
    const failure = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => connection.socket.destroy(new Error('no answer in 2 s')), CALL_MS);
      connection.finish = (why) => {
        clearTimeout(timer);
        connection.finish = undefined;
        resolve(why ?? faultOf(connection.received, uid));
      };
      connection.received = '';
      connection.socket.write(review.text(uid));
    });
    connection.calls += 1;
    this.#release(connection);
    return failure;
  }

  #nextFree(): Promise<Connection | string> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      void this.#connect().then((dialled) => {
        if (typeof dialled !== 'string') this.#free(dialled);
        else this.#waiting.shift()?.(dialled);
      });
    });
  }

  #free(connection: Connection): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next(connection);
    else if (this.#idle.length < IDLE_MAX) this.#idle.push(connection);
    else connection.socket.end();
  }

  #release(connection: Connection): void {
    const isDone =
      connection.calls >= this.#options.callsPerConnection ||
      /\r\nconnection: close\r\n/i.test(connection.received);
    if (connection.socket.destroyed) return;
    if (isDone) connection.socket.end();
    else this.#free(connection);
  }

  #connect(): Promise<Connection | string> {
    const port = this.#options.service.pick();
    if (port === undefined) return Promise.resolve('no endpoint is ready');
    return new Promise((resolve) => {
      const socket = connect({
        host: '127.0.0.1',
        port,
        servername: SERVER_NAME,
        ca: this.#options.caBundle(),
        minVersion: 'TLSv1.3',
      });
      const connection: Connection = { socket, calls: 0, received: '', finish: undefined };
      this.connections += 1;
      this.#open.add(socket);
      socket.setNoDelay().setEncoding('latin1');
      socket.once('secureConnect', () => resolve(connection));
      socket.on('data', (chunk: string) => {
        connection.received += chunk;
        if (isWhole(connection.received)) connection.finish?.(undefined);
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        const why = error.code ?? error.message;
        resolve(why);
        connection.finish?.(why);
      });
      // A peer that closes in between is noticed here, as a transport's reading goroutine does.
      socket.on('end', () => this.#forget(connection));
      socket.on('close', () => {
        this.#forget(connection);
        this.#open.delete(socket);
        resolve('closed during the handshake');
        connection.finish?.('closed before the answer');
      });
    });
  }

  #forget(connection: Connection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}

function isWhole(received: string): boolean {
  const headEnd = received.indexOf('\r\n\r\n');
  const length = headEnd < 0 ? undefined : /\r\ncontent-length: (\d+)/i.exec(received)?.[1];
  return length !== undefined && received.length >= headEnd + 4 + Number(length);
}

function faultOf(received: string, uid: string): string | undefined {
  if (!received.startsWith('HTTP/1.1 200 ')) return received.slice(0, 40);
  return received.includes(`"uid":"${uid}"`) && received.includes('"allowed":true')
    ? undefined
    : 'an answer to something else';
}
