/** Gives out CPUs of the deadline tier, one kind of want after the other, within the node's and namespaces' caps. Pure. */
import type { Claim, DemandSample } from './demand.ts';

/** What is left to give. */
export interface Room {
  cpus: number;
  /** Of namespaces that have a cap. */
  namespaces: Map<string, number>;
}

/** One owner of credit, while CPUs are given out. */
export interface Wanter {
  readonly sample: DemandSample;
  readonly claim: Claim;
  grantedCpus: number;
}

type CpusOf = (wanter: Wanter) => number;

/** Of namespaces that want more than their cap leaves: the fraction of its want that each of their pods gets. */
const fractionsOf = (
  wanters: readonly Wanter[],
  wantOf: CpusOf,
  { namespaces }: Room,
): ReadonlyMap<string, number> => {
  const fractions = new Map<string, number>();
  if (namespaces.size === 0) return fractions;
  const wanted = new Map<string, number>();
  for (const wanter of wanters) {
    const { namespace } = wanter.sample;
    wanted.set(namespace, (wanted.get(namespace) ?? 0) + wantOf(wanter));
  }
  for (const [namespace, leftCpus] of namespaces) {
    const cpus = wanted.get(namespace) ?? 0;
    if (cpus > leftCpus) fractions.set(namespace, leftCpus / cpus);
  }
  return fractions;
};

/**
 * Brings each up to what it should have by now, or all the same fraction of the way where there is too little.
 * @param should CPUs in all, what it has already included.
 */
export const bringUpTo = (wanters: readonly Wanter[], should: CpusOf, room: Room): void => {
  if (room.cpus <= 0) return;
  const lacks: CpusOf = (wanter) => Math.max(0, should(wanter) - wanter.grantedCpus);
  const fractions = fractionsOf(wanters, lacks, room);
  const wantOf: CpusOf =
    fractions.size === 0 ? lacks : (wanter) => lacks(wanter) * (fractions.get(wanter.sample.namespace) ?? 1);
  let wanted = 0;
  for (const wanter of wanters) wanted += wantOf(wanter);
  if (wanted <= 0) return;
  const fraction = Math.min(1, room.cpus / wanted);
  for (const wanter of wanters) {
    const share = wantOf(wanter) * fraction;
    wanter.grantedCpus += share;
    const left = room.namespaces.get(wanter.sample.namespace);
    if (left !== undefined) room.namespaces.set(wanter.sample.namespace, Math.max(0, left - share));
  }
  room.cpus = Math.max(0, room.cpus - wanted * fraction);
};

/** Groups of equal importance, the highest first. */
export const byImportance = (wanters: readonly Wanter[]): Wanter[][] =>
  [...Map.groupBy(wanters, ({ sample }) => sample.importance)]
    .sort(([a], [b]) => b - a)
    .map(([, equals]) => equals);
