/**
 * The plan: which cgroup gets which slot settings. Pure: targets and cgroups in, desired slots out.
 *
 * Every pod cgroup has an accounting slot, and its SLO hangs off that. A container gets a slot of its own only
 * where its SLO differs from the pod's; it still draws on the pod's credit.
 */
import type { Slo } from '../../slo/slo.ts';
import type { CgroupLimits } from '../cgroups/cgroup-files.ts';
import type { Cgroup, CgroupTree } from '../cgroups/cgroup-tree.ts';
import type { Mode, SlotPolicy } from '../kernel/port.ts';
import type { PathTarget, PodTarget, Target } from '../pods/target.ts';
import { type Claims, type Conflict, claimsOf } from './claims.ts';
import { creditCapNs } from './credit.ts';

/** Pod tasks whose cgroups have no slot (bpf/abi.h: SLO_SLOT_PODS). */
export const PODS_SLOT = 1;
/** Slots that the kernel side keeps for itself: system and pods without a slot (bpf/abi.h: SLO_SLOT_FIRST). */
export const FIRST_SLOT = 2;

export type SlotOwner =
  | { kind: 'pods-root' }
  | { kind: 'pod'; pod: PodTarget }
  | { kind: 'container'; pod: PodTarget; container: string }
  | { kind: 'path'; target: PathTarget }
  /** A pod's cgroup without a pod that claims it (not known yet, or already deleted), or with two. */
  | { kind: 'unknown-pod'; podUid: string };

export interface DesiredSlot {
  cgroupId: bigint;
  path: string;
  owner: SlotOwner;
  slo: Slo | undefined;
  /** The cgroup whose credit this one draws on: its own, or its pod's. */
  creditOf: bigint;
  /** undefined: any free slot. */
  fixedSlot: number | undefined;
  /** Without the credit slot's number, which the slot table knows. */
  policy: Omit<SlotPolicy, 'creditSlot' | 'sloSlot' | 'parentSlot'>;
}

/** Left out because there are more cgroups than slots; its tasks count for the nearest ancestor with a slot. */
export interface Eviction {
  path: string;
  importance: number | undefined;
}

export interface Plan {
  /** Owners of credit come before those that draw on them. */
  slots: DesiredSlot[];
  /** Targets with an SLO whose cgroup does not exist (yet). */
  unresolved: Target[];
  conflicts: Conflict[];
  evicted: Eviction[];
  /** Who claims what, for planNewcomer. */
  claims: Claims;
}

export interface PlanInput {
  targets: readonly Target[];
  tree: CgroupTree;
  /** The node's mode, as it is now. */
  mode: Mode;
  /** SlotMap.capacity; 0 while no kernel session is open: then nothing has a slot and nobody lost one. */
  capacity: number;
  limits: (cgroupId: bigint) => CgroupLimits;
  /** CPUs that the owner of credit has reserved. */
  reservedCpus: (cgroupId: bigint) => number;
}

const MODE_ORDER: readonly Mode[] = ['observe', 'advisory', 'enforce'];

/** A pod may only lower the node's mode. */
export const effectiveMode = (node: Mode, slo: Slo | undefined): Mode => {
  const pod = slo?.mode ?? node;
  return MODE_ORDER.indexOf(pod) < MODE_ORDER.indexOf(node) ? pod : node;
};

type Desire = Pick<DesiredSlot, 'owner' | 'slo'> & { cgroup: Cgroup; creditOf: bigint; ownsCredit: boolean };

const desiredSlot = (input: PlanInput, desire: Desire): DesiredSlot => {
  const { cgroup, owner, slo, creditOf, ownsCredit } = desire;
  const budgetNs = Math.round((slo?.budgetMs ?? 0) * 1e6);
  const reservedCpus = ownsCredit ? input.reservedCpus(cgroup.id) : 0;
  return {
    cgroupId: cgroup.id,
    path: cgroup.path,
    owner,
    slo,
    creditOf,
    fixedSlot: undefined,
    policy: {
      cgroupId: cgroup.id,
      budgetNs,
      importance: slo?.importance ?? 1,
      reservedCpus,
      creditCapNs: ownsCredit ? creditCapNs(budgetNs, reservedCpus) : 0,
      weight: input.limits(cgroup.id).weight,
      idle: false,
      quotaNs: 0,
      periodUs: 0,
      limited: false,
      deadline: slo !== undefined && effectiveMode(input.mode, slo) === 'enforce',
    },
  };
};

/** Containers of the pod whose SLO differs, as far as their cgroups exist. */
const containerSlots = (input: PlanInput, pod: PodTarget, podCgroup: Cgroup): DesiredSlot[] =>
  pod.containers.flatMap(({ name, id, slo }) => {
    const cgroup = slo && id ? input.tree.container(pod.cgroupUid, id) : undefined;
    if (cgroup === undefined || slo === undefined) return [];
    const owner: SlotOwner = { kind: 'container', pod, container: name };
    return [desiredSlot(input, { cgroup, owner, slo, creditOf: podCgroup.id, ownsCredit: false })];
  });

/** One pod's slots: its own, then those of its containers. */
const slotsOfPod = (input: PlanInput, claims: Claims, cgroup: Cgroup): [DesiredSlot, ...DesiredSlot[]] => {
  const podUid = cgroup.place.kind === 'pod' ? cgroup.place.podUid : '';
  const pod = claims.pods.get(podUid);
  const below = pod === undefined ? [] : containerSlots(input, pod, cgroup);
  const owner: SlotOwner = pod === undefined ? { kind: 'unknown-pod', podUid } : { kind: 'pod', pod };
  const slo = claims.contested.has(cgroup.id) ? undefined : pod?.slo;
  const ownsCredit = slo !== undefined || below.length > 0;
  return [desiredSlot(input, { cgroup, owner, slo, creditOf: cgroup.id, ownsCredit }), ...below];
};

const podSlots = (input: PlanInput, claims: Claims, taken: Set<bigint>): DesiredSlot[] => {
  const pods: DesiredSlot[] = [];
  const containers: DesiredSlot[] = [];
  for (const cgroup of input.tree.pods()) {
    if (taken.has(cgroup.id)) continue;
    const [own, ...below] = slotsOfPod(input, claims, cgroup);
    pods.push(own);
    for (const slot of below) if (!taken.has(slot.cgroupId)) containers.push(slot);
  }
  return [...pods, ...containers];
};

/**
 * What a full plan would say of a cgroup that just appeared, as far as that is certain without one: a pod that
 * nobody contests, its containers. Anything else waits for the full plan: undefined.
 */
export const planNewcomer = (input: PlanInput, claims: Claims, cgroup: Cgroup): DesiredSlot[] | undefined => {
  const { place } = cgroup;
  if (place.kind !== 'pod' && place.kind !== 'container') return undefined;
  const pod = input.tree.pod(place.podUid);
  if (pod === undefined || claims.pathNames.has(pod.path) || claims.pathNames.has(cgroup.path))
    return undefined;
  return slotsOfPod(input, claims, pod);
};

const pathSlots = (input: PlanInput, claims: Claims): DesiredSlot[] =>
  [...claims.paths.values()].map(({ cgroup, target }) =>
    desiredSlot(input, {
      cgroup,
      owner: { kind: 'path', target },
      slo: target.slo,
      creditOf: cgroup.id,
      ownsCredit: true,
    }),
  );

/** The pods' roots: the one nearest to the hierarchy's root gets the slot that the kernel side keeps for it. */
const rootSlots = (input: PlanInput, taken: Set<bigint>): DesiredSlot[] =>
  input.tree
    .roots()
    .filter((root) => !taken.has(root.id))
    .map((cgroup, index) => ({
      ...desiredSlot(input, {
        cgroup,
        owner: { kind: 'pods-root' },
        slo: undefined,
        creditOf: cgroup.id,
        ownsCredit: false,
      }),
      fixedSlot: index === 0 ? PODS_SLOT : undefined,
    }));

/** Who keeps a slot when not all can: the pods' roots, then by importance; accounting alone goes first. */
const rank = (slot: DesiredSlot): number =>
  slot.owner.kind === 'pods-root' ? 1000 : (slot.slo?.importance ?? 0);

const withinCapacity = (slots: DesiredSlot[], capacity: number): Pick<Plan, 'slots' | 'evicted'> => {
  if (capacity === 0) return { slots: [], evicted: [] };
  const room =
    Math.max(0, capacity - FIRST_SLOT) + (slots.some((slot) => slot.fixedSlot !== undefined) ? 1 : 0);
  if (slots.length <= room) return { slots, evicted: [] };
  const byRank = slots.map((slot, order) => ({ slot, order, rank: rank(slot) }));
  byRank.sort((a, b) => b.rank - a.rank || a.order - b.order);
  const kept = byRank.slice(0, room).sort((a, b) => a.order - b.order);
  const evicted = byRank
    .slice(room)
    .map(({ slot }) => ({ path: slot.path, importance: slot.slo?.importance }));
  return { slots: kept.map(({ slot }) => slot), evicted };
};

export const plan = (input: PlanInput): Plan => {
  const claims = claimsOf(input.targets, input.tree);
  const paths = pathSlots(input, claims);
  const taken = new Set(paths.map((slot) => slot.cgroupId));
  const all = [...rootSlots(input, taken), ...paths, ...podSlots(input, claims, taken)];
  return {
    ...withinCapacity(all, input.capacity),
    unresolved: claims.unresolved,
    conflicts: claims.conflicts,
    claims,
  };
};
