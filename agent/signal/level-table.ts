/**
 * What callers may know: each one's own level, who has which address, and who waits for a change. Takes rounds of the
 * controller; when they stop, levels age, decay and end. No I/O, no clock of its own.
 */
import type { PodLevel, ShedStateName } from '../shed/feed.ts';
import { normaliseAddress } from './callers.ts';

export interface CallerLevel {
  /** As the controller said it last. */
  said: PodLevel;
  /** What the caller is told: what was said, less what age took from it. 0 .. 0.95 in hundredths. */
  shed: number;
  state: ShedStateName;
  /** Grows with each change of what the caller is told, over all callers: for equality only. */
  seq: number;
}

/** A part of a round: what changed and what went; `full` replaces everything. */
export interface LevelUpdate {
  full: boolean;
  levels: readonly PodLevel[];
  gone: readonly string[];
}

/** Silence of the controller: after STALE_MS the state says so, after HOLD_MS the level halves, then it ends. */
export const STALE_MS = 500;
const HOLD_MS = 2_000;
const HALF_LIFE_MS = 2_000;
const END_MS = 10_000;

/** @returns the share of a level that is left at that age, 0 .. 1 */
export const freshness = (ageMs: number): number => {
  if (ageMs <= HOLD_MS) return 1;
  return ageMs >= END_MS ? 0 : 0.5 ** ((ageMs - HOLD_MS) / HALF_LIFE_MS);
};

const hundredths = (share: number): number => Math.round(share * 100) / 100;

export class LevelTable {
  readonly #levels = new Map<string, CallerLevel>();
  readonly #keys = new Map<string, string>();
  readonly #waiters = new Map<string, Set<() => void>>();
  #seq = 0;
  #heardMs: number | undefined;
  /** Some are told less than was said. */
  #isAged = false;

  get size(): number {
    return this.#levels.size;
  }

  get(key: string): CallerLevel | undefined {
    return this.#levels.get(key);
  }

  callers(): Iterable<CallerLevel> {
    return this.#levels.values();
  }

  /** @returns the caller whose address it is; undefined: nobody that we know. */
  keyOf(address: string): string | undefined {
    return this.#keys.get(address) ?? this.#keys.get(normaliseAddress(address));
  }

  /** ms since the controller spoke last; Infinity before that. */
  ageMs(nowMs: number): number {
    return this.#heardMs === undefined ? Number.POSITIVE_INFINITY : Math.max(0, nowMs - this.#heardMs);
  }

  take({ full, levels, gone }: LevelUpdate, nowMs: number): void {
    this.#heardMs = nowMs;
    for (const key of gone) this.#forget(key);
    for (const said of levels) this.#say(said, said.shedRatio, said.state);
    if (full && this.#levels.size > levels.length) {
      const kept = new Set(levels.map((level) => level.key));
      for (const key of this.#levels.keys()) if (!kept.has(key)) this.#forget(key);
    }
    // Those that nothing was said of are as they were said, without what age had taken.
    if (!full && this.#isAged)
      for (const { said } of this.#levels.values()) this.#say(said, said.shedRatio, said.state);
    this.#isAged = false;
  }

  /** Lets levels age; call it a few times a second. */
  age(nowMs: number): void {
    const ageMs = this.ageMs(nowMs);
    if (ageMs <= STALE_MS || ageMs === Number.POSITIVE_INFINITY) return;
    this.#isAged = true;
    const left = freshness(ageMs);
    for (const { said } of this.#levels.values()) this.#say(said, said.shedRatio * left, 'stale');
  }

  /** Calls back once, at the next change of what that caller is told. @returns how to stop waiting. */
  onChange(key: string, callback: () => void): () => void {
    const ofKey = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, ofKey);
    ofKey.add(callback);
    return () => {
      ofKey.delete(callback);
      if (ofKey.size === 0 && this.#waiters.get(key) === ofKey) this.#waiters.delete(key);
    };
  }

  waiting(key: string): number {
    return this.#waiters.get(key)?.size ?? 0;
  }

  #say(said: PodLevel, share: number, state: ShedStateName): void {
    const before = this.#levels.get(said.key);
    const shed = hundredths(share);
    if (before?.said.podIps !== said.podIps) this.#address(said, before?.said);
    if (
      before !== undefined &&
      before.shed === shed &&
      before.state === state &&
      before.said.importance === said.importance
    ) {
      before.said = said;
      return;
    }
    this.#seq += 1;
    this.#levels.set(said.key, { said, shed, state, seq: this.#seq });
    this.#wake(said.key);
  }

  #address({ key, podIps }: PodLevel, before: PodLevel | undefined): void {
    for (const ip of before?.podIps ?? []) if (this.#keys.get(ip) === key) this.#keys.delete(ip);
    for (const ip of podIps) this.#keys.set(ip, key);
  }

  #forget(key: string): void {
    const level = this.#levels.get(key);
    if (level === undefined) return;
    for (const ip of level.said.podIps) if (this.#keys.get(ip) === key) this.#keys.delete(ip);
    this.#levels.delete(key);
    this.#wake(key);
  }

  #wake(key: string): void {
    const waiters = this.#waiters.get(key);
    this.#waiters.delete(key);
    for (const wake of waiters ?? []) wake();
  }
}
