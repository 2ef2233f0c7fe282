/** From the kernel's slots to what the controller asks of each pod. Pure. */
import type { NodeModeName } from '../node-mode.ts';
import { type DesiredSlot, effectiveMode } from '../plan/desired-slot.ts';
import type { LiveSlot } from '../plan/live-slot.ts';
import type { PodTarget, Target } from '../pods/target.ts';
import { pathKey, podKey } from '../signal/callers.ts';
import type { PodSample } from './severity.ts';
import { slotSampleOf } from './slot-sample.ts';

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

/** What the slots say of a pod; pressure, throttling and reports come from elsewhere. */
export interface PodFacts {
  sample: Omit<PodSample, 'pressure' | 'throttled' | 'queueWaitMs' | 'queueIsNews'> & {
    /** Throttled / all periods where our scheduler applies cpu.max, which cpu.stat does not show; 0 .. 1. */
    throttledByUs: number;
  };
  /** The pod's cgroup, from the hierarchy's root; undefined: not seen. */
  path: string | undefined;
}

export interface NodeFacts {
  pods: Map<string, PodFacts>;
  /** CPUs used by work without an SLO: within the pods' requests, and all. */
  othersWithinRequestCpus: number;
  othersCpus: number;
  /** By everything that has a slot. */
  countedCpus: number;
}

const requestCpusOf = ({ owner }: DesiredSlot): number =>
  owner.kind === 'pod' || owner.kind === 'container' ? owner.pod.cpuRequestMilli / 1000 : 0;

const newFacts = (key: string, slot: DesiredSlot, importance: number): PodFacts => {
  const { owner } = slot;
  return {
    sample: {
      key,
      importance,
      sheddable: true,
      slots: [],
      usedCpus: 0,
      requestCpus: requestCpusOf(slot),
      quotaCpus: undefined,
      throttledByUs: 0,
      trustsReports: (owner.kind === 'pod' || owner.kind === 'container') && owner.pod.trustsReports === true,
    },
    path: undefined,
  };
};

const tighter = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

const withSlot = (
  facts: PodFacts,
  { entry, meter, throttle, cpus }: LiveSlot,
  mode: NodeModeName,
  nowMs: number,
): PodFacts => {
  const { desired } = entry;
  const { slo, owner, path } = desired;
  const { sample } = facts;
  const isPod = owner.kind === 'pod' || owner.kind === 'path';
  const next = {
    sample: {
      ...sample,
      usedCpus: sample.usedCpus + cpus,
      quotaCpus: isPod ? tighter(sample.quotaCpus, desired.quotaCpus) : sample.quotaCpus,
      throttledByUs: Math.max(sample.throttledByUs, throttle?.share ?? 0),
    },
    path: isPod ? path : facts.path,
  };
  const waits = meter?.second;
  if (slo === undefined || waits === undefined) return next;
  const mayShed = mode !== 'unsupported' && effectiveMode(mode, slo) !== 'observe';
  const slots = [...sample.slots, slotSampleOf(waits, slo.budgetMs, nowMs)];
  return { ...next, sample: { ...next.sample, slots, sheddable: sample.sheddable && slo.shed && mayShed } };
};

/** @param importance of every pod that has an SLO. */
export const nodeFacts = (
  mode: NodeModeName,
  live: Iterable<LiveSlot>,
  importance: ReadonlyMap<string, number>,
  nowMs: number,
): NodeFacts => {
  const pods = new Map<string, PodFacts>();
  const others = new Map<string, { usedCpus: number; requestCpus: number }>();
  let countedCpus = 0;
  for (const slot of live) {
    const { desired } = slot.entry;
    const key = shedKeyOf(desired) ?? '';
    const ofKey = importance.get(key);
    countedCpus += slot.cpus;
    if (ofKey !== undefined) {
      pods.set(key, withSlot(pods.get(key) ?? newFacts(key, desired, ofKey), slot, mode, nowMs));
      continue;
    }
    const other = others.get(key) ?? { usedCpus: 0, requestCpus: requestCpusOf(desired) };
    other.usedCpus += slot.cpus;
    others.set(key, other);
  }
  const used = [...others.values()];
  return {
    pods,
    othersCpus: used.reduce((sum, { usedCpus }) => sum + usedCpus, 0),
    othersWithinRequestCpus: used.reduce(
      (sum, { usedCpus, requestCpus }) => sum + Math.min(usedCpus, requestCpus),
      0,
    ),
    countedCpus,
  };
};
