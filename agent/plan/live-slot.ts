/** A slot that a cgroup has now, and who is counted in it. */
import type { Meter, SeriesLabels } from '../observe/ledger.ts';
import type { ThrottleMeter } from '../observe/throttle-ledger.ts';
import { pathKey, podKey } from '../signal/callers.ts';
import type { DesiredSlot, SlotOwner } from './desired-slot.ts';
import type { SlotEntry } from './slots.ts';

export interface LiveSlot {
  entry: SlotEntry;
  /** For whom the meters count. */
  owner: SlotOwner;
  /** Whose shed level it counts for (callerKeyOf of `owner`). */
  callerKey: string | undefined;
  /** undefined: it counts in its pod's slot. */
  meter: Meter | undefined;
  /** undefined: no quota was ever seen to matter. */
  throttle: ThrottleMeter | undefined;
  /** CPUs used, between the last two reads. */
  cpus: number;
  /** CPUs that it used or waited for: follows growth at once and shrinking over seconds. */
  wantedCpus: number;
  /** SlotMap.activity at the last read. */
  activity: number;
  /** SlotMap.limitChanges that were acted on. */
  limitChanges: number;
}

/** Whose shed level a slot counts for; undefined: nobody's. */
export const callerKeyOf = (owner: SlotOwner): string | undefined => {
  if (owner.kind === 'pod' || owner.kind === 'container') return podKey(owner.pod.uid);
  return owner.kind === 'path' ? pathKey(owner.target.path) : undefined;
};

/** Of everything outside the pods, which has a slot and is no cgroup. */
export const SYSTEM_LABELS: SeriesLabels = { namespace: '', pod: '(system)', container: '' };

export const labelsOf = (owner: SlotOwner): SeriesLabels => {
  switch (owner.kind) {
    case 'pod':
      return { namespace: owner.pod.namespace, pod: owner.pod.name, container: '' };
    case 'container':
      return { namespace: owner.pod.namespace, pod: owner.pod.name, container: owner.container };
    case 'path':
      return { namespace: '', pod: owner.target.path, container: '' };
    case 'qos':
      return { namespace: '', pod: `(${owner.qos})`, container: '' };
    case 'pods-root':
    case 'folder':
      return { namespace: '', pod: '(pods)', container: '' };
    case 'unknown-pod':
    case 'unknown-container':
      return { namespace: '', pod: '(unknown)', container: '' };
  }
};

/** Worth reading often: it has an SLO, or its credit serves a container that has one. */
export const isHot = ({ policy }: DesiredSlot): boolean => policy.budgetNs > 0 || policy.creditCapNs > 0;

export const sameLabels = (a: SeriesLabels, b: SeriesLabels): boolean =>
  a.namespace === b.namespace && a.pod === b.pod && a.container === b.container;

/** Cheap and on the safe side: a new object for the same pod is looked at again. */
export const sameOwner = (a: SlotOwner, b: SlotOwner): boolean => {
  if (a === b) return true;
  if (a.kind === 'container' && b.kind === 'container') return a.pod === b.pod && a.container === b.container;
  if (a.kind === 'pod' && b.kind === 'pod') return a.pod === b.pod;
  return a.kind === b.kind && a.kind !== 'path' && a.kind !== 'pod' && a.kind !== 'container';
};

export const isUnknown = ({ kind }: SlotOwner): boolean =>
  kind === 'unknown-pod' || kind === 'unknown-container';
