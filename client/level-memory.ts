/**
 * The level between two words of the signal: it counts for its TTL, then halves again and again until nothing is shed.
 * Pure: time comes in.
 *
 * Silence is counted in turns of the event loop, each turn at most MAX_TURN_MS. An app whose loop is blocked by its
 * own requests is late with reading what the signal sent in time; taking that for a dead signal would open the door
 * in the middle of the overload. MAX_SILENCE_MS bounds it by the clock.
 */
import type { Level, ShedState } from './level.ts';

const MAX_TURN_MS = 250;
const MAX_SILENCE_MS = 30_000;
/** Below this share nothing is shed. */
const NOTHING = 0.01;

export interface MemoryOptions {
  /** Upper bound for the TTL that the signal gives, ms. */
  ttlMs: number;
  halfLifeMs: number;
  /** Upper bound for what is shed, 0 .. 1. */
  maxShed: number;
}

export class LevelMemory {
  readonly #options: MemoryOptions;
  #level: Level | undefined;
  #silenceMs = 0;
  #confirmedMs = 0;
  #staleMs = 0;

  constructor(options: MemoryOptions) {
    this.#options = options;
  }

  /** A level came. */
  renew(level: Level, nowMs: number): void {
    this.#level = level;
    this.confirm(nowMs);
  }

  /** The signal said that the level stands (304, heartbeat). */
  confirm(nowMs: number): void {
    this.#silenceMs = 0;
    this.#confirmedMs = nowMs;
  }

  forget(): void {
    this.#level = undefined;
  }

  /** Once a turn of the loop. */
  pass(elapsedMs: number, nowMs: number): void {
    if (this.#level === undefined) return;
    this.#silenceMs += Math.min(MAX_TURN_MS, Math.max(0, elapsedMs));
    if (this.isStale) this.#staleMs += Math.max(0, elapsedMs);
    if (nowMs - this.#confirmedMs > MAX_SILENCE_MS) this.#silenceMs = Number.POSITIVE_INFINITY;
  }

  get isStale(): boolean {
    return this.#level !== undefined && this.#silenceMs > this.#ttlMs(this.#level);
  }

  /** ms since the start without a level that counts in full. */
  get staleMs(): number {
    return this.#staleMs;
  }

  get shed(): number {
    if (this.#level === undefined) return 0;
    const { halfLifeMs, maxShed } = this.#options;
    const beyondMs = Math.max(0, this.#silenceMs - this.#ttlMs(this.#level));
    const shed = Math.min(maxShed, this.#level.shed) * 2 ** (-beyondMs / halfLifeMs);
    return shed < NOTHING ? 0 : shed;
  }

  get state(): ShedState {
    if (this.#level === undefined) return 'unknown';
    return this.isStale ? 'stale' : this.#level.state;
  }

  get retryAfterMs(): number {
    return this.#level?.retryAfterMs ?? 0;
  }

  #ttlMs(level: Level): number {
    return Math.min(this.#options.ttlMs, level.ttlMs);
  }
}
