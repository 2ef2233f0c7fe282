/** Keep-alive connections to one worker of a service; there is always a free one, or a new one is opened. */
import { connect, type Socket } from 'node:net';
import { parseResponse } from './http-response.ts';

export interface Target {
  host: string;
  port: number;
}

/** Gets the status, or undefined when the connection broke before the whole response came. */
export type OnResponse = (status: number | undefined) => void;

interface Connection {
  socket: Socket;
  waiting: OnResponse | undefined;
  partial: Buffer | undefined;
}

const READ_BYTES = 8192;

export class Connections {
  readonly #target: Target;
  readonly #request: Buffer;
  readonly #warmUp: Buffer;
  readonly #free: Connection[] = [];
  readonly #busy = new Set<Connection>();
  /** Requests that found no free connection: their latency includes a TCP handshake. */
  openedLate = 0;

  constructor(target: Target) {
    this.#target = target;
    const head = `HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\n\r\n`;
    this.#request = Buffer.from(`GET / ${head}`);
    this.#warmUp = Buffer.from(`GET /stats ${head}`);
  }

  /**
   * Opens `count` connections, one after another so that no backlog overflows, and sends a first request that
   * does no work on each: the first one on a connection costs the service more than the others.
   */
  async open(count: number): Promise<void> {
    for (let opened = 0; opened < count; opened += 1) {
      const connection = await new Promise<Connection>((resolve, reject) => {
        const fresh = this.#connect(() => resolve(fresh));
        fresh.socket.on('error', reject);
      });
      await new Promise<void>((resolve) => {
        connection.waiting = () => resolve();
        connection.socket.write(this.#warmUp);
      });
    }
  }

  send(onResponse: OnResponse): void {
    // The one that rested longest: the service's epoll would serve a connection that it has just answered
    // before others that wait, and first come first served is part of the model that the results are held to.
    const connection = this.#free.shift() ?? this.#openLate();
    connection.waiting = onResponse;
    this.#busy.add(connection);
    connection.socket.write(this.#request);
  }

  /** Cuts every connection; a reset makes the service forget requests that it did not start. */
  close(): void {
    for (const { socket } of this.#free) socket.destroy();
    for (const connection of this.#busy) {
      connection.waiting = undefined;
      connection.socket.resetAndDestroy();
    }
  }

  #openLate(): Connection {
    this.openedLate += 1;
    return this.#connect(() => undefined);
  }

  #connect(onConnect: () => void): Connection {
    // onread hands the bytes over without the stream machinery, which would double the cost of a response.
    const onread = {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback: (bytes: number, buffer: Uint8Array): boolean => {
        this.#onBytes(connection, Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
        return true;
      },
    };
    const socket = connect({ ...this.#target, noDelay: true, onread }, onConnect);
    const connection: Connection = { socket, waiting: undefined, partial: undefined };
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose(connection));
    return connection;
  }

  #onBytes(connection: Connection, bytes: Buffer): void {
    const data = connection.partial === undefined ? bytes : Buffer.concat([connection.partial, bytes]);
    const response = parseResponse(data);
    if (response === undefined) {
      // The read buffer is used again: keep a copy.
      connection.partial = Buffer.from(data);
      return;
    }
    connection.partial = undefined;
    const done = connection.waiting;
    connection.waiting = undefined;
    this.#busy.delete(connection);
    this.#free.push(connection);
    done?.(response.status);
  }

  #onClose(connection: Connection): void {
    this.#busy.delete(connection);
    const index = this.#free.indexOf(connection);
    if (index >= 0) this.#free.splice(index, 1);
    const done = connection.waiting;
    connection.waiting = undefined;
    done?.(undefined);
  }
}
