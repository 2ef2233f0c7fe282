/** The levels as callers see them: in hundredths, and 0 in a dry run. No I/O. */

import { podKey } from '../signal/callers.ts';
import type { PodLevel, ShedInputs, ShedStateName } from './feed.ts';
import { type NodeSample, ROUNDS_PER_DETAIL } from './shed-state.ts';

/** All but the addresses, which somebody else knows. */
export type PublishedLevel = Omit<PodLevel, 'podIps'>;

/** What the controller decided for one pod. */
export interface Decided {
  level: number;
  state: ShedStateName;
  reason: string;
  inputs: ShedInputs;
}

export interface PublishOptions {
  node: Pick<NodeSample, 'busy'>;
  dryRun: boolean;
}

const POD = podKey('');

export const uidOf = (key: string): string => (key.startsWith(POD) ? key.slice(POD.length) : '');

const rounded = (level: number): number => Math.round(level * 100) / 100;

/** Of a pod that the controller has not seen yet. */
const undecided = (nodeBusy: number): Decided => ({
  level: 0,
  state: 'ok',
  reason: 'nothing was measured yet',
  inputs: {
    budgetMs: 0,
    waitP95Ms: 0,
    missRatio: 0,
    pressure: null,
    throttled: 0,
    queueWaitMs: null,
    severity: 0,
    nodeBusy,
    demandCpus: 0,
  },
});

const published = (
  key: string,
  importance: number,
  { level, state, reason, inputs }: Decided,
  dryRun: boolean,
): PublishedLevel => {
  const computedRatio = rounded(level);
  const base = { key, podUid: uidOf(key), importance, computedRatio, inputs };
  if (!dryRun) return { ...base, shedRatio: computedRatio, state, reason };
  return {
    ...base,
    shedRatio: 0,
    state: state === 'shedding' ? 'ok' : state,
    reason: `dry run: ${reason}`,
  };
};

interface Entry {
  decided: Decided;
  level: PublishedLevel;
  /** With its addresses, as it was handed out last. */
  told: PodLevel | undefined;
}

/** Levels that stay as they were are the same objects as before: whoever sends them on need not compare. */
export class LevelBoard {
  readonly #entries = new Map<string, Entry>();
  #undecided = undecided(0);
  #round = 0;
  readonly #onTurn: (level: PublishedLevel) => void;

  /** @param onTurn hears of a pod that begins to shed or ends it, also where that is only computed. */
  constructor(onTurn: (level: PublishedLevel) => void = () => undefined) {
    this.#onTurn = onTurn;
  }

  get(key: string): PublishedLevel | undefined {
    return this.#entries.get(key)?.level;
  }

  /** @param importance of every target with an SLO; others are no callers. */
  publish(
    all: ReadonlyMap<string, Decided>,
    importance: ReadonlyMap<string, number>,
    { node, dryRun }: PublishOptions,
  ): void {
    if (this.#round % ROUNDS_PER_DETAIL === 0) this.#undecided = undecided(node.busy);
    this.#round += 1;
    for (const [key, ofKey] of importance) {
      const decided = all.get(key) ?? this.#undecided;
      const known = this.#entries.get(key);
      if (known?.decided === decided && known.level.importance === ofKey) continue;
      const level = published(key, ofKey, decided, dryRun);
      this.#entries.set(key, { decided, level, told: undefined });
      if (level.computedRatio > 0 !== (known?.level.computedRatio ?? 0) > 0) this.#onTurn(level);
    }
    if (this.#entries.size > importance.size)
      for (const key of this.#entries.keys()) if (!importance.has(key)) this.#entries.delete(key);
  }

  /** @param addressesOf addresses that are that pod's alone. */
  levels(addressesOf: (key: string) => readonly string[]): PodLevel[] {
    const levels: PodLevel[] = [];
    for (const entry of this.#entries.values()) {
      const podIps = addressesOf(entry.level.key);
      if (entry.told?.podIps !== podIps) entry.told = { ...entry.level, podIps };
      levels.push(entry.told);
    }
    return levels;
  }
}
