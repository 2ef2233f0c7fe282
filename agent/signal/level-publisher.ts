/** The agent's end of the levels socket: sends each round to the signal process, and takes reports and counts. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { type Failure, failure } from '../failure.ts';
import type { PodLevel } from '../shed/feed.ts';
import { RateLimit } from './limits.ts';
import { RoundDelta } from './round-delta.ts';
import {
  type AgentMessage,
  type CgroupOwner,
  encode,
  LineReader,
  MAX_SIGNAL_LINE_BYTES,
  parseSignalMessage,
  type SignalMessage,
} from './wire.ts';

/** One signal process; during an update of it two. */
const MAX_PEERS = 4;
/** A peer that has not read for this long is cut off; it connects again and gets everything. */
const UNREAD_MS = 5_000;
/** Reports of all pods come to no more than half of that (handler.ts); the rest is not read. */
const MESSAGES_PER_S = 1_000;
/** The owner and the socket's group: see docs/signal.md. */
const SOCKET_MODE = 0o660;

interface Peer {
  socket: Socket;
  needsAll: boolean;
  unreadSinceMs: number | undefined;
}

export class LevelPublisher {
  readonly #path: string;
  readonly #onMessage: (message: SignalMessage) => void;
  readonly #server: Server;
  readonly #peers = new Set<Peer>();
  readonly #delta = new RoundDelta();
  readonly #messages = new RateLimit(MESSAGES_PER_S, MESSAGES_PER_S);
  #latest: readonly PodLevel[] | undefined;
  #cgroups: readonly CgroupOwner[] = [];

  constructor(path: string, onMessage: (message: SignalMessage) => void) {
    this.#path = path;
    this.#onMessage = onMessage;
    this.#server = createServer((socket) => this.#onPeer(socket));
    this.#server.maxConnections = MAX_PEERS;
  }

  /** @returns why it does not listen; undefined: it does. */
  start(): Promise<Failure | undefined> {
    return new Promise((resolve) => {
      const fail = (error: unknown): void => {
        const why = error instanceof Error ? error.message : String(error);
        const next = 'make its directory, writable for the agent, or choose another --levels-socket';
        resolve(failure('SLO_E_LEVELS_SOCKET', `cannot listen on ${this.#path}`, why, next));
      };
      this.#server.once('error', fail);
      try {
        rmSync(this.#path, { force: true });
      } catch (error) {
        fail(error);
        return;
      }
      // Nobody else can be in there before its mode is set: listen() binds before it returns.
      const umask = process.umask(0o777 & ~SOCKET_MODE);
      this.#server.listen(this.#path, () => {
        this.#server.off('error', fail).on('error', () => undefined);
        try {
          chmodSync(this.#path, SOCKET_MODE);
          resolve(undefined);
        } catch (error) {
          fail(error);
        }
      });
      process.umask(umask);
    });
  }

  stop(): void {
    this.#server.close();
    for (const { socket } of this.#peers) socket.destroy();
  }

  publish(levels: readonly PodLevel[], nowMs: number): void {
    this.#latest = levels;
    const update = encode({ t: 'round', ...this.#delta.next(levels) });
    for (const peer of this.#peers) this.#sendRound(peer, update, nowMs);
  }

  /** Bytes that wait for peers to read. */
  get unreadBytes(): number {
    return [...this.#peers].reduce((sum, { socket }) => sum + socket.writableLength, 0);
  }

  setCgroups(cgroups: readonly CgroupOwner[]): void {
    const line = encode({ t: 'cgroups', cgroups });
    if (line === encode({ t: 'cgroups', cgroups: this.#cgroups })) return;
    this.#cgroups = cgroups;
    for (const peer of this.#peers) if (!peer.needsAll) peer.socket.write(line);
  }

  #onPeer(socket: Socket): void {
    const peer: Peer = { socket, needsAll: true, unreadSinceMs: undefined };
    this.#peers.add(peer);
    const lines = new LineReader(MAX_SIGNAL_LINE_BYTES, (line) => {
      if (this.#messages.take('', performance.now()) !== 'within') return;
      const message = parseSignalMessage(line);
      if (message !== undefined) this.#onMessage(message);
    });
    socket.on('data', (chunk: Buffer) => {
      if (!lines.push(chunk)) socket.destroy();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#peers.delete(peer));
    if (this.#latest !== undefined) this.#sendAll(peer, this.#latest);
  }

  #sendRound(peer: Peer, update: string, nowMs: number): void {
    if (peer.socket.writableNeedDrain) {
      // It is slow: it gets everything at once when it can, not a queue of rounds.
      peer.needsAll = true;
      peer.unreadSinceMs ??= nowMs;
      if (nowMs - peer.unreadSinceMs > UNREAD_MS) peer.socket.destroy();
      return;
    }
    peer.unreadSinceMs = undefined;
    if (peer.needsAll) this.#sendAll(peer, this.#latest ?? []);
    else peer.socket.write(update);
  }

  #sendAll(peer: Peer, levels: readonly PodLevel[]): void {
    peer.needsAll = false;
    const messages: AgentMessage[] = [
      { t: 'cgroups', cgroups: this.#cgroups },
      { t: 'round', full: true, levels, gone: [] },
    ];
    peer.socket.write(messages.map(encode).join(''));
  }
}
