/** The levels as callers see them: in hundredths, and 0 in a dry run. No I/O. */

import { podKey } from '../signal/callers.ts';
import type { PodLevel, ShedInputs, ShedStateName } from './feed.ts';
import type { NodeSample } from './shed-state.ts';

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

export class LevelBoard {
  #levels = new Map<string, PublishedLevel>();
  readonly #onTurn: (level: PublishedLevel) => void;

  /** @param onTurn hears of a pod that begins to shed or ends it, also where that is only computed. */
  constructor(onTurn: (level: PublishedLevel) => void = () => undefined) {
    this.#onTurn = onTurn;
  }

  get(key: string): PublishedLevel | undefined {
    return this.#levels.get(key);
  }

  /** @param importance of every target with an SLO; others are no callers. */
  publish(
    decided: ReadonlyMap<string, Decided>,
    importance: ReadonlyMap<string, number>,
    { node, dryRun }: PublishOptions,
  ): void {
    const before = this.#levels;
    this.#levels = new Map();
    for (const [key, ofKey] of importance) {
      const level = published(key, ofKey, decided.get(key) ?? undecided(node.busy), dryRun);
      this.#levels.set(key, level);
      if (level.computedRatio > 0 !== (before.get(key)?.computedRatio ?? 0) > 0) this.#onTurn(level);
    }
  }

  /** @param addressesOf addresses that are that pod's alone. */
  levels(addressesOf: (key: string) => readonly string[]): PodLevel[] {
    return [...this.#levels.values()].map((level) => ({ ...level, podIps: addressesOf(level.key) }));
  }
}
