/** The levels as callers see them: rounded, numbered on each change, with waiters for long polls. No I/O. */
import type { PodLevel, ShedState, ShedStateName } from './severity.ts';

export interface PublishedLevel {
  /** 0 .. 0.95 in hundredths. */
  shed: number;
  state: ShedStateName;
  /** Grows with each change, also over pods: callers compare for equality only. */
  seq: number;
  /** -ln(admitted share), for Retry-After. */
  a: number;
  importance: number;
  reason: string;
}

const rounded = (level: number): number => Math.round(level * 100) / 100;

export class LevelBoard {
  readonly #levels = new Map<string, PublishedLevel>();
  readonly #waiters = new Map<string, Set<() => void>>();
  #seq = 0;
  #publishedMs = 0;
  readonly #onTurn: (key: string, level: PublishedLevel) => void;

  /** @param onTurn hears of a pod that begins to shed or ends it. */
  constructor(onTurn: (key: string, level: PublishedLevel) => void = () => undefined) {
    this.#onTurn = onTurn;
  }

  get(key: string): PublishedLevel | undefined {
    return this.#levels.get(key);
  }

  /** ms since the controller spoke last. */
  ageMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#publishedMs);
  }

  /** Pods without an entry in `importance` are no callers any more. */
  publish(levels: ShedState, importance: ReadonlyMap<string, number>, nowMs: number): void {
    this.#publishedMs = nowMs;
    for (const key of this.#levels.keys()) if (!importance.has(key)) this.#forget(key);
    for (const [key, ofKey] of importance) this.#publishOne(key, levels.get(key), ofKey);
  }

  /** Calls back once, at the next change of that level (or when the pod goes). @returns how to stop waiting. */
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

  #publishOne(key: string, pod: PodLevel | undefined, importance: number): void {
    const before = this.#levels.get(key);
    const shed = rounded(pod?.level ?? 0);
    const state = pod?.state ?? 'ok';
    const same = before?.shed === shed && before.state === state && before.importance === importance;
    if (before === undefined || !same) this.#seq += 1;
    const seq = same ? before.seq : this.#seq;
    const level = { shed, state, seq, a: pod?.a ?? 0, importance, reason: pod?.reason ?? '' };
    this.#levels.set(key, level);
    if (shed > 0 !== (before?.shed ?? 0) > 0) this.#onTurn(key, level);
    if (!same) this.#wake(key);
  }

  #forget(key: string): void {
    this.#levels.delete(key);
    this.#wake(key);
  }

  #wake(key: string): void {
    const waiters = this.#waiters.get(key);
    this.#waiters.delete(key);
    for (const wake of waiters ?? []) wake();
  }
}
