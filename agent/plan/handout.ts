/** Gives out CPUs of the deadline tier, one kind of want after the other, within the node's and namespaces' caps. Pure. */
import type { DemandSample } from './demand.ts';

/** What is left to give. */
export interface Room {
  cpus: number;
  /** Of namespaces that have a cap. */
  namespaces: Map<string, number>;
}

export type Grants = Map<bigint, number>;

const grantedTo = (grants: Grants, { cgroupId }: DemandSample): number => grants.get(cgroupId) ?? 0;

interface Want {
  sample: DemandSample;
  cpus: number;
}

/** Where a namespace wants more than its cap leaves, each of its pods gets the same fraction. */
const withinNamespaces = (wants: readonly Want[], { namespaces }: Room): Want[] => {
  if (namespaces.size === 0) return [...wants];
  const total = new Map<string, number>();
  for (const { sample, cpus } of wants)
    total.set(sample.namespace, (total.get(sample.namespace) ?? 0) + cpus);
  return wants.map(({ sample, cpus }) => {
    const left = namespaces.get(sample.namespace);
    const wanted = total.get(sample.namespace) ?? 0;
    const fraction = left === undefined || wanted <= left ? 1 : left / wanted;
    return { sample, cpus: cpus * fraction };
  });
};

/**
 * Brings each up to what it should have by now, or all the same fraction of the way where there is too little.
 * @param should CPUs in all, what it has already included.
 */
export const bringUpTo = (
  grants: Grants,
  samples: readonly DemandSample[],
  should: (sample: DemandSample) => number,
  room: Room,
): void => {
  const wants = withinNamespaces(
    samples.map((sample) => ({ sample, cpus: Math.max(0, should(sample) - grantedTo(grants, sample)) })),
    room,
  );
  const wanted = wants.reduce((sum, { cpus }) => sum + cpus, 0);
  if (wanted <= 0 || room.cpus <= 0) return;
  const fraction = Math.min(1, room.cpus / wanted);
  for (const { sample, cpus } of wants) {
    const share = cpus * fraction;
    grants.set(sample.cgroupId, grantedTo(grants, sample) + share);
    const left = room.namespaces.get(sample.namespace);
    if (left !== undefined) room.namespaces.set(sample.namespace, Math.max(0, left - share));
  }
  room.cpus = Math.max(0, room.cpus - wanted * fraction);
};

/** Groups of equal importance, the highest first. */
export const byImportance = (samples: readonly DemandSample[]): DemandSample[][] =>
  [...Map.groupBy(samples, (sample) => sample.importance)]
    .sort(([a], [b]) => b - a)
    .map(([, equals]) => equals);
