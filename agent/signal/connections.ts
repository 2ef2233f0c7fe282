/** Who holds how many connections: at most some a caller, and when the house is full the greediest gives way. */
import type { Socket } from 'node:net';

const MAX_PER_CALLER = 64;
/** How many requests one connection may have in hand at once; who pipelines more is no proxy. */
const MAX_PIPELINED = 32;
/** Who floods is kept out for as long as the rate limit counts. */
const BLOCK_MS = 1_000;
const MAX_BLOCKED = 4_096;

export class Connections {
  readonly #max: number;
  readonly #nowMs: () => number;
  readonly #open = new Map<string, Set<Socket>>();
  readonly #blockedUntilMs = new Map<string, number>();
  readonly #turns = new WeakMap<Socket, { turn: number; requests: number }>();
  #total = 0;
  #turn = 0;
  #turnEnds: boolean = false;
  refused = 0;

  /** @param max connections in all. */
  constructor(max: number, nowMs: () => number) {
    this.#max = max;
    this.#nowMs = nowMs;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts a new connection, or closes it. @param caller an address, or the key of a socket's owner. */
  admit(socket: Socket, caller: string): void {
    const mine = this.#open.get(caller) ?? new Set();
    if (mine.size >= MAX_PER_CALLER || this.#isBlocked(caller) || !this.#makeRoom(mine.size)) {
      this.refused += 1;
      socket.destroy();
      return;
    }
    this.#open.set(caller, mine);
    mine.add(socket);
    this.#total += 1;
    socket.once('close', () => {
      this.#drop(socket, caller);
    });
  }

  /** Closes what the caller has, and what it opens within the next second. */
  block(caller: string): void {
    if (this.#blockedUntilMs.size >= MAX_BLOCKED) this.#blockedUntilMs.clear();
    this.#blockedUntilMs.set(caller, this.#nowMs() + BLOCK_MS);
    for (const socket of this.#open.get(caller) ?? []) socket.destroy();
  }

  /** Counts a request. @returns false: too many came in one go, and the connection is closed. */
  isOrderly(socket: Socket): boolean {
    if (socket.destroyed) return false;
    this.#endTurnLater();
    const seen = this.#turns.get(socket);
    if (seen === undefined || seen.turn !== this.#turn) {
      this.#turns.set(socket, { turn: this.#turn, requests: 1 });
      return true;
    }
    seen.requests += 1;
    if (seen.requests <= MAX_PIPELINED) return true;
    socket.destroy();
    return false;
  }

  /** What the event loop reads of one connection at once is one turn. */
  #endTurnLater(): void {
    if (this.#turnEnds) return;
    this.#turnEnds = true;
    setImmediate(() => {
      this.#turnEnds = false;
      this.#turn += 1;
    });
  }

  #isBlocked(caller: string): boolean {
    const untilMs = this.#blockedUntilMs.get(caller);
    if (untilMs === undefined) return false;
    if (this.#nowMs() < untilMs) return true;
    this.#blockedUntilMs.delete(caller);
    return false;
  }

  /** When all places are taken, the oldest connection of whoever has most goes, if that is more than the new one has. */
  #makeRoom(mine: number): boolean {
    if (this.#total < this.#max) return true;
    let caller = '';
    let most = mine + 1;
    for (const [candidate, sockets] of this.#open) {
      if (sockets.size > most) {
        most = sockets.size;
        caller = candidate;
      }
    }
    const [oldest] = this.#open.get(caller) ?? [];
    if (oldest === undefined) return false;
    this.#drop(oldest, caller);
    oldest.destroy();
    return true;
  }

  #drop(socket: Socket, caller: string): void {
    const mine = this.#open.get(caller);
    if (mine?.delete(socket) !== true) return;
    this.#total -= 1;
    if (mine.size === 0) this.#open.delete(caller);
  }
}
