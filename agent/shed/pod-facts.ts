/** From the kernel's slots to what the controller asks of each pod. Pure. */
import type { NodeModeName } from '../node-mode.ts';
import { type DesiredSlot, effectiveMode } from '../plan/desired-slot.ts';
import type { LiveSlot } from '../plan/live-slot.ts';
import type { PodTarget, Target } from '../pods/target.ts';
import { pathKey, podKey } from '../signal/callers.ts';
import type { PodSample } from './severity.ts';
import { slotSampleOf } from './slot-sample.ts';

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

export interface PodFacts {
  /**
   * What the slots say of a pod: `throttled` where our scheduler applies cpu.max, which cpu.stat does not show.
   * Pressure and reports come from elsewhere.
   */
  sample: PodSample;
  /** The pod's cgroup, from the hierarchy's root; undefined: not seen. */
  path: string | undefined;
  /** None of its slots did anything lately: while that is so, these facts stay. */
  isAtRest: boolean;
}

/** What `nodeFacts` looks at. */
export interface FactsInput {
  mode: NodeModeName;
  live: Iterable<LiveSlot>;
  /** Of every pod that has an SLO. */
  importance: ReadonlyMap<string, number>;
  nowMs: number;
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

const newFacts = (key: string, slot: DesiredSlot, importance: number, isAtRest: boolean): PodFacts => {
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
      pressure: undefined,
      throttled: 0,
      queueWaitMs: undefined,
      queueIsNews: false,
      trustsReports: (owner.kind === 'pod' || owner.kind === 'container') && owner.pod.trustsReports === true,
    },
    path: undefined,
    isAtRest,
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
      throttled: Math.max(sample.throttled, throttle?.share ?? 0),
    },
    path: isPod ? path : facts.path,
    isAtRest: facts.isAtRest,
  };
  const waits = meter?.second;
  if (slo === undefined || waits === undefined) return next;
  const mayShed = mode !== 'unsupported' && effectiveMode(mode, slo) !== 'observe';
  const slots = [...sample.slots, slotSampleOf(waits, slo.budgetMs, nowMs)];
  return { ...next, sample: { ...next.sample, slots, sheddable: sample.sheddable && slo.shed && mayShed } };
};

/** Does and waits for nothing, and is not held back. */
const isAtRest = ({ cpus, meter, throttle }: LiveSlot, nowMs: number): boolean =>
  cpus === 0 && !((throttle?.share ?? 0) > 0) && (meter?.second?.isEmpty(nowMs) ?? true);

/** What the slots that are not at rest use, and whose they are. */
const usage = ({ live, importance, nowMs }: FactsInput) => {
  const awake = new Set<string>();
  const others = new Map<string, { usedCpus: number; requestCpus: number }>();
  let countedCpus = 0;
  for (const slot of live) {
    if (isAtRest(slot, nowMs)) continue;
    countedCpus += slot.cpus;
    const key = slot.callerKey ?? '';
    if (importance.has(key)) {
      awake.add(key);
      continue;
    }
    const other = others.get(key) ?? { usedCpus: 0, requestCpus: requestCpusOf(slot.entry.desired) };
    other.usedCpus += slot.cpus;
    others.set(key, other);
  }
  return { awake, others: [...others.values()], countedCpus };
};

const podsOf = (
  { mode, live, importance, nowMs }: FactsInput,
  awake: ReadonlySet<string>,
  known: ReadonlyMap<string, PodFacts> | undefined,
): Map<string, PodFacts> => {
  const pods = new Map(known);
  const due = new Set(awake);
  for (const [key, facts] of pods) if (!facts.isAtRest) due.add(key);
  if (known !== undefined && due.size === 0) return pods;
  for (const key of due) pods.delete(key);
  for (const slot of live) {
    const key = slot.callerKey;
    if (key === undefined || (known !== undefined && !due.has(key))) continue;
    const ofKey = importance.get(key);
    if (ofKey === undefined) continue;
    const facts = pods.get(key) ?? newFacts(key, slot.entry.desired, ofKey, !awake.has(key));
    pods.set(key, withSlot(facts, slot, mode, nowMs));
  }
  return pods;
};

/**
 * @param known of the step before, of the same slots in the same mode: pods that were and are at rest stay as they are.
 *   undefined: looks at every pod.
 */
export const nodeFacts = (input: FactsInput, known?: ReadonlyMap<string, PodFacts>): NodeFacts => {
  const { awake, others, countedCpus } = usage(input);
  return {
    pods: podsOf(input, awake, known),
    othersCpus: others.reduce((sum, { usedCpus }) => sum + usedCpus, 0),
    othersWithinRequestCpus: others.reduce(
      (sum, { usedCpus, requestCpus }) => sum + Math.min(usedCpus, requestCpus),
      0,
    ),
    countedCpus,
  };
};
