/**
 * Which connections stay. An API server keeps idle ones for 90 s, also some that it has opened and never used: Go's
 * client dials ahead and then takes another that became free first. Node's own headersTimeout closes those with a 408,
 * at times just as the first request is on its way, so it is set above the 90 s, and slow senders are found here:
 * by the time since a request began, not since the connection did.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';

export interface ConnectionLimits {
  /** Open connections; beyond it the one that was idle for longest makes room. */
  max: number;
  /** From the first byte of a request to its answer. */
  requestMs: number;
}

export type CloseReason = 'slow' | 'crowded';

interface Connection {
  openedAtMs: number;
  /** End of the last request; undefined: none yet. */
  usedAtMs: number | undefined;
  /** Its head has been read, its answer not written. */
  busy: boolean;
  /** Bytes that belong to requests that are answered. */
  settledBytes: number;
  /** When the request that is on its way was first seen. */
  begunAtMs: number | undefined;
}

export class Connections {
  readonly #open = new Map<TLSSocket, Connection>();
  readonly #limits: ConnectionLimits;
  readonly #onClose: (reason: CloseReason) => void;

  constructor(limits: ConnectionLimits, onClose: (reason: CloseReason) => void) {
    this.#limits = limits;
    this.#onClose = onClose;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Follows the connections of a server and looks for slow ones, until the server is closed. */
  watch(server: Server): void {
    server.on('secureConnection', (socket: TLSSocket) => this.#opened(socket));
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#began(request.socket as TLSSocket, response),
    );
    const sweep = setInterval(() => this.#sweep(), this.#limits.requestMs / 8).unref();
    server.once('close', () => clearInterval(sweep));
  }

  #opened(socket: TLSSocket): void {
    if (this.#open.size >= this.#limits.max) {
      this.#makeRoom();
    }
    this.#open.set(socket, {
      openedAtMs: performance.now(),
      usedAtMs: undefined,
      busy: false,
      settledBytes: 0,
      begunAtMs: undefined,
    });
    socket.once('close', () => this.#open.delete(socket));
  }

  #began(socket: TLSSocket, response: ServerResponse): void {
    const connection = this.#open.get(socket);
    if (connection === undefined) {
      return;
    }
    connection.busy = true;
    response.once('close', () => {
      connection.busy = false;
      connection.begunAtMs = undefined;
      connection.usedAtMs = performance.now();
      connection.settledBytes = socket.bytesRead;
    });
  }

  /** Closes the connections whose request takes too long to arrive or its answer too long to be read. */
  #sweep(): void {
    const now = performance.now();
    for (const [socket, connection] of this.#open) {
      if (!connection.busy && socket.bytesRead === connection.settledBytes) {
        connection.begunAtMs = undefined;
      } else {
        connection.begunAtMs ??= now;
        if (now - connection.begunAtMs > this.#limits.requestMs) {
          this.#close(socket, 'slow');
        }
      }
    }
  }

  /** Those that never sent a request go first: whoever opens many to shut others out has none to show. */
  #makeRoom(): void {
    const rank = ({ usedAtMs, openedAtMs }: Connection): number => usedAtMs ?? openedAtMs - UNUSED_PENALTY_MS;
    let victim: TLSSocket | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [socket, connection] of this.#open) {
      if (!connection.busy && rank(connection) < least) {
        victim = socket;
        least = rank(connection);
      }
    }
    if (victim !== undefined) {
      this.#close(victim, 'crowded');
    }
  }

  #close(socket: TLSSocket, reason: CloseReason): void {
    this.#open.delete(socket);
    this.#onClose(reason);
    socket.destroy();
  }
}

/** Longer than any process runs. */
const UNUSED_PENALTY_MS = 1e12;
