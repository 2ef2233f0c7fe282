/** From the slots' recent waits to published levels: gathers the samples, steps the controller, publishes. */

import type { NodeModeName } from '../node-mode.ts';
import { countOf, leastSumNs, quantileNs } from '../observe/histogram.ts';
import { type DesiredSlot, effectiveMode } from '../plan/desired-slot.ts';
import type { LiveSlot } from '../plan/live-slot.ts';
import type { PodTarget, Target } from '../pods/target.ts';
import { pathKey, podKey } from '../signal/callers.ts';
import { step } from './level.ts';
import type { LevelBoard } from './level-board.ts';
import type { PodSample, ShedState, SlotSample } from './severity.ts';

/** Whose level a slot counts for; undefined: nobody's. */
export const shedKeyOf = ({ owner }: DesiredSlot): string | undefined => {
  if (owner.kind === 'pod' || owner.kind === 'container') return podKey(owner.pod.uid);
  return owner.kind === 'path' ? pathKey(owner.target.path) : undefined;
};

const slosOf = (pod: PodTarget) =>
  [pod.slo, ...pod.containers.map((container) => container.slo)].filter((slo) => slo !== undefined);

/** Key and importance of every target with an SLO, resolved or not. */
export const importanceByKey = (targets: readonly Target[]): Map<string, number> => {
  const byKey = new Map<string, number>();
  for (const target of targets) {
    if (target.kind === 'path') {
      byKey.set(pathKey(target.path), target.slo.importance);
      continue;
    }
    const slos = slosOf(target);
    const importance = target.slo?.importance ?? Math.max(...slos.map((slo) => slo.importance));
    if (slos.length > 0) byKey.set(podKey(target.uid), importance);
  }
  return byKey;
};

const slotSample = ({ entry, meter }: LiveSlot, nowMs: number): SlotSample | undefined => {
  const recent = meter?.second?.sum(nowMs);
  const budgetMs = entry.desired.slo?.budgetMs;
  if (recent === undefined || budgetMs === undefined) return undefined;
  return {
    budgetMs,
    p95WaitMs: quantileNs(recent.hist, 0.95) / 1e6,
    waits: countOf(recent.hist),
    waitMs: leastSumNs(recent.hist) / 1e6,
    bursts: recent.bursts,
    misses: recent.misses,
  };
};

export class ShedLoop {
  readonly board: LevelBoard;
  #state: ShedState = new Map();
  #steppedAtMs = performance.now();

  constructor(board: LevelBoard) {
    this.board = board;
  }

  /** @param ageMs age of the slots' counters. */
  tick(
    mode: NodeModeName,
    live: Iterable<LiveSlot>,
    importance: ReadonlyMap<string, number>,
    nodeBusy: number,
    ageMs: number,
  ): void {
    const nowMs = performance.now();
    const pods = this.#samples(mode, live, importance, nowMs);
    this.#state = step(this.#state, { pods, nodeBusy, ageMs }, nowMs - this.#steppedAtMs);
    this.#steppedAtMs = nowMs;
    this.board.publish(this.#state, importance, nowMs);
  }

  #samples(
    mode: NodeModeName,
    live: Iterable<LiveSlot>,
    importance: ReadonlyMap<string, number>,
    nowMs: number,
  ): PodSample[] {
    const samples = new Map<string, PodSample>();
    if (mode === 'observe' || mode === 'unsupported') return [];
    for (const slot of live) {
      const { desired } = slot.entry;
      const key = shedKeyOf(desired);
      const sample = slotSample(slot, nowMs);
      if (key === undefined || sample === undefined || desired.slo === undefined) continue;
      const known = samples.get(key);
      const sheddable = desired.slo.shed && effectiveMode(mode, desired.slo) !== 'observe';
      if (known === undefined) {
        samples.set(key, { key, importance: importance.get(key) ?? 1, sheddable, slots: [sample] });
      } else {
        known.slots.push(sample);
        known.sheddable &&= sheddable;
      }
    }
    return [...samples.values()];
  }
}
