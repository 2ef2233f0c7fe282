/** One client's server-sent events: its level at each change, a heartbeat, and an end for who does not read. */
import type { ServerResponse } from 'node:http';
import { heartbeatBody, levelBody } from './answer.ts';
import type { CallerLevel, LevelTable } from './level-table.ts';

export interface StreamParts {
  table: LevelTable;
  bootId: string;
  nowMs: () => number;
  /** The caller now: an address that nobody had may be a pod's a moment later. */
  keyNow: () => string | undefined;
}

const HEARTBEAT_MS = 500;
/** Two changes within this are one event. */
const COALESCE_MS = 20;
/** A client that has not read for this long does not come back to it. */
const UNREAD_MS = 5_000;

export class LevelStream {
  readonly #response: ServerResponse;
  readonly #parts: StreamParts;
  #key: string | undefined;
  #sentSeq = -1;
  #sentMs = Number.NEGATIVE_INFINITY;
  #unreadSinceMs: number | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;
  #stopWaiting: (() => void) | undefined;
  #stopped: boolean = false;

  /** @param response whose head is written. */
  constructor(response: ServerResponse, parts: StreamParts) {
    this.#response = response;
    this.#parts = parts;
  }

  start(retryMs: number): void {
    this.#response.write(`retry: ${retryMs}\n\n`);
    this.#follow();
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS);
  }

  /** The level as it is, and the end. */
  once(retryMs: number): void {
    this.#response.write(`retry: ${retryMs}\n\n`);
    this.#key = this.#parts.keyNow();
    this.#sendLevel();
    this.#response.end();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#later);
    this.#stopWaiting?.();
  }

  /** Sends the level where it is new, and waits for its next change. */
  #follow(): void {
    const { table, nowMs, keyNow } = this.#parts;
    this.#later = undefined;
    this.#stopWaiting?.();
    this.#key = keyNow();
    if (!this.#isUnread() && this.#levelNow()?.seq !== this.#sentSeq) this.#sendLevel();
    if (this.#key === undefined || this.#stopped) return;
    this.#stopWaiting = table.onChange(this.#key, () => {
      const waitMs = Math.max(0, this.#sentMs + COALESCE_MS - nowMs());
      this.#later ??= setTimeout(() => this.#follow(), waitMs);
    });
  }

  #levelNow(): CallerLevel | undefined {
    return this.#key === undefined ? undefined : this.#parts.table.get(this.#key);
  }

  #beat(): void {
    const { table, nowMs } = this.#parts;
    if (this.#isUnread()) {
      this.#unreadSinceMs ??= nowMs();
      if (nowMs() - this.#unreadSinceMs >= UNREAD_MS) this.#response.destroy();
      return;
    }
    this.#unreadSinceMs = undefined;
    const isNews = this.#parts.keyNow() !== this.#key || this.#levelNow()?.seq !== this.#sentSeq;
    if (isNews && this.#later === undefined) this.#follow();
    else this.#event('heartbeat', heartbeatBody(this.#levelNow(), table.ageMs(nowMs())));
  }

  #sendLevel(): void {
    const { table, bootId, nowMs } = this.#parts;
    const level = this.#levelNow();
    this.#sentSeq = level?.seq ?? -1;
    this.#sentMs = nowMs();
    const id = `id: ${bootId}-${level?.seq ?? 0}\n`;
    this.#event('level', levelBody(level, table.ageMs(nowMs()), Math.random()), id);
  }

  #event(name: string, data: string, id = ''): void {
    this.#response.write(`event: ${name}\n${id}data: ${data}\n\n`);
  }

  /** What was sent last still waits here: the client's buffers are full. Nothing more is added. */
  #isUnread(): boolean {
    return (this.#response.socket?.writableLength ?? 0) > 0;
  }
}
