/**
 * The plan: which cgroup gets which slot settings. Pure: targets and cgroups in, desired slots out.
 *
 * Every cgroup that kubelet and the runtime make under the pods' root has a slot, because each has a weight and may
 * have a quota: the root, the QoS slices, the pods and their containers. A container without an SLO of its own counts
 * for its pod; with one it still draws on the pod's credit.
 */
import type { Cgroup, CgroupTree } from '../cgroups/cgroup-tree.ts';
import type { PodTarget, Target } from '../pods/target.ts';
import { Ancestry } from './ancestry.ts';
import { type Eviction, withinCapacity } from './capacity.ts';
import { type Claims, type Conflict, claimsOf } from './claims.ts';
import { type DesiredSlot, desiredSlot, type PolicyInput, type SlotOwner } from './desired-slot.ts';

/** Pod tasks whose cgroups have no slot (bpf/abi.h: SLO_SLOT_PODS). */
export const PODS_SLOT = 1;

export interface Plan {
  /** Parents come before their children, owners of credit before those that draw on it. */
  slots: DesiredSlot[];
  /** Targets with an SLO whose cgroup does not exist (yet). */
  unresolved: Target[];
  conflicts: Conflict[];
  evicted: Eviction[];
  /** Who claims what, for planNewcomer. */
  claims: Claims;
}

export interface PlanInput extends PolicyInput {
  targets: readonly Target[];
  tree: CgroupTree;
  /** SlotMap.capacity; 0 while no kernel session is open: then nothing has a slot and nobody lost one. */
  capacity: number;
}

interface Context {
  input: PlanInput;
  claims: Claims;
  ancestry: Ancestry;
}

const contextOf = (input: PlanInput, claims: Claims): Context => ({
  input,
  claims,
  ancestry: new Ancestry(input.tree, claims, input.limits),
});

/** Enough to tell the containers of a pod apart. */
const SHORT_ID = 12;

const slotOfContainer = (
  { input, ancestry }: Context,
  pod: PodTarget | undefined,
  podCgroup: Cgroup,
  cgroup: Cgroup,
): DesiredSlot => {
  const id = cgroup.place.kind === 'container' ? cgroup.place.containerId : '';
  const known = pod?.containers.find((container) => container.id === id);
  const owner: SlotOwner =
    pod === undefined
      ? { kind: 'unknown-container', podUid: podCgroup.place.kind === 'pod' ? podCgroup.place.podUid : '' }
      : { kind: 'container', pod, container: known?.name ?? id.slice(0, SHORT_ID) };
  return desiredSlot(input, {
    cgroup,
    owner,
    slo: known?.slo,
    ancestors: ancestry.of(cgroup),
    creditOf: podCgroup.id,
    ...(known?.slo === undefined ? { sloOf: podCgroup.id } : {}),
    ownsCredit: false,
  });
};

/** Those at the place where kubelet puts them, but for what a path rule claims. */
const slotsOfContainers = (
  context: Context,
  pod: PodTarget | undefined,
  podCgroup: Cgroup,
): DesiredSlot[] => {
  const { input, claims } = context;
  if (podCgroup.place.kind !== 'pod') return [];
  const slots: DesiredSlot[] = [];
  for (const cgroup of input.tree.containers(podCgroup.place.podUid)) {
    if (!cgroup.path.startsWith(`${podCgroup.path}/`) || claims.paths.has(cgroup.path)) continue;
    slots.push(slotOfContainer(context, pod, podCgroup, cgroup));
  }
  return slots;
};

/** One pod's slots: its own, unless a path rule has it, then those of its containers. */
const slotsOfPod = (context: Context, cgroup: Cgroup): DesiredSlot[] => {
  const { input, claims, ancestry } = context;
  const podUid = cgroup.place.kind === 'pod' ? cgroup.place.podUid : '';
  const pod = claims.pods.get(podUid);
  const below = slotsOfContainers(context, pod, cgroup);
  if (claims.paths.has(cgroup.path)) return below;
  const owner: SlotOwner = pod === undefined ? { kind: 'unknown-pod', podUid } : { kind: 'pod', pod };
  const slo = claims.contested.has(cgroup.id) ? undefined : pod?.slo;
  const ownsCredit = slo !== undefined || below.some((slot) => slot.slo !== undefined);
  return [desiredSlot(input, { cgroup, owner, slo, ancestors: ancestry.of(cgroup), ownsCredit }), ...below];
};

const slotsOfPaths = ({ input, claims, ancestry }: Context): DesiredSlot[] =>
  [...claims.paths.values()].map(({ cgroup, target }) =>
    desiredSlot(input, {
      cgroup,
      owner: { kind: 'path', target },
      slo: target.slo,
      ancestors: ancestry.of(cgroup),
      ownsCredit: true,
    }),
  );

/** A cgroup that holds no tasks of its own, only other cgroups. */
const slotOfInner = ({ input, ancestry }: Context, cgroup: Cgroup, owner: SlotOwner): DesiredSlot =>
  desiredSlot(input, {
    cgroup,
    owner,
    slo: undefined,
    ancestors: ancestry.of(cgroup),
    ownsCredit: false,
  });

/**
 * The pods' roots, the QoS slices and the folders that lead to path rules. The root nearest to the hierarchy's own
 * gets the slot that the kernel side keeps for it.
 */
const slotsOfHierarchy = (context: Context): DesiredSlot[] => {
  const { tree } = context.input;
  const { claims } = context;
  const isFree = ({ path }: Cgroup): boolean => !claims.paths.has(path);
  const roots = tree
    .roots()
    .filter(isFree)
    .map((cgroup, index) => ({
      ...slotOfInner(context, cgroup, { kind: 'pods-root' }),
      fixedSlot: index === 0 ? PODS_SLOT : undefined,
    }));
  const slices = [...tree.qosSlices()].filter(isFree).map((cgroup) => {
    const { place } = cgroup;
    return slotOfInner(context, cgroup, place.kind === 'qos' ? place : { kind: 'folder' });
  });
  const folders = [...claims.folders.values()].map((cgroup) =>
    slotOfInner(context, cgroup, { kind: 'folder' }),
  );
  return [...roots, ...slices, ...folders];
};

const slotsOfPods = (context: Context): DesiredSlot[] => {
  const slots: DesiredSlot[] = [];
  for (const cgroup of context.input.tree.pods()) slots.push(...slotsOfPod(context, cgroup));
  return slots;
};

/**
 * What a full plan would say of a cgroup that just appeared, as far as that is certain without one: the hierarchy, a
 * pod that nobody contests, its containers. Anything else waits for the full plan: undefined.
 */
export const planNewcomer = (input: PlanInput, claims: Claims, cgroup: Cgroup): DesiredSlot[] | undefined => {
  const { place } = cgroup;
  if (claims.pathNames.has(cgroup.path)) return undefined;
  const context = contextOf(input, claims);
  if (place.kind === 'pods-root' || place.kind === 'qos')
    return slotsOfHierarchy(context).filter((slot) => slot.cgroupId === cgroup.id);
  if (place.kind !== 'pod' && place.kind !== 'container') return undefined;
  const pod = input.tree.pod(place.podUid);
  if (pod === undefined || claims.pathNames.has(pod.path)) return undefined;
  return slotsOfPod(context, pod);
};

export const plan = (input: PlanInput): Plan => {
  const claims = claimsOf(input.targets, input.tree);
  const context = contextOf(input, claims);
  const all = [...slotsOfHierarchy(context), ...slotsOfPaths(context), ...slotsOfPods(context)];
  return {
    ...withinCapacity(all, input.capacity),
    unresolved: claims.unresolved,
    conflicts: claims.conflicts,
    claims,
  };
};
