/** What the plan wants of one slot. */
import type { Slo } from '../../slo/slo.ts';
import { type CgroupLimits, quotaCpusOf } from '../cgroups/cgroup-files.ts';
import type { QosClass } from '../cgroups/cgroup-path.ts';
import type { Cgroup } from '../cgroups/cgroup-tree.ts';
import type { Mode, SlotPolicy } from '../kernel/port.ts';
import type { PathTarget, PodTarget } from '../pods/target.ts';
import { type Ancestors, tightest } from './ancestry.ts';
import { creditCapNs } from './credit.ts';

export type SlotOwner =
  | { kind: 'pods-root' }
  | { kind: 'qos'; qos: QosClass }
  /** Inside the pods' tree, above the cgroup of a path rule. */
  | { kind: 'folder' }
  | { kind: 'pod'; pod: PodTarget }
  /** `container`: its name, or the head of its id until the runtime said which it is. */
  | { kind: 'container'; pod: PodTarget; container: string }
  | { kind: 'path'; target: PathTarget }
  /** A pod's cgroup without a pod that claims it (not known yet, or already deleted), or with two. */
  | { kind: 'unknown-pod'; podUid: string }
  | { kind: 'unknown-container'; podUid: string };

export interface DesiredSlot {
  cgroupId: bigint;
  path: string;
  owner: SlotOwner;
  slo: Slo | undefined;
  /** The cgroup whose credit this one draws on: its own, or its pod's. */
  creditOf: bigint;
  /** The cgroup whose SLO it has, and for which it is counted: its own, or its pod's. */
  sloOf: bigint;
  ancestors: Ancestors;
  /** The tightest cpu.max of it and its ancestors. */
  quotaCpus: number | undefined;
  /** undefined: any free slot. */
  fixedSlot: number | undefined;
  /** Without the numbers of other slots, which the slot table knows. */
  policy: Omit<SlotPolicy, 'creditSlot' | 'sloSlot' | 'parentSlot'>;
}

/** Where the numbers in a policy come from. */
export interface PolicyInput {
  /** The node's mode, as it is now. */
  mode: Mode;
  limits: (cgroupId: bigint) => CgroupLimits;
  /** CPUs that the owner of credit has reserved. */
  reservedCpus: (cgroupId: bigint) => number;
}

export interface Desire extends Pick<DesiredSlot, 'owner' | 'slo' | 'ancestors'> {
  cgroup: Cgroup;
  /** The pod's cgroup, where the slot draws on its credit. */
  creditOf?: bigint;
  /** The pod's cgroup, where the slot counts for it. */
  sloOf?: bigint;
  ownsCredit: boolean;
}

const MODE_ORDER: readonly Mode[] = ['observe', 'advisory', 'enforce'];

/** A pod may only lower the node's mode. */
export const effectiveMode = (node: Mode, slo: Slo | undefined): Mode => {
  const pod = slo?.mode ?? node;
  return MODE_ORDER.indexOf(pod) < MODE_ORDER.indexOf(node) ? pod : node;
};

export const desiredSlot = (input: PolicyInput, desire: Desire): DesiredSlot => {
  const { cgroup, owner, slo, ancestors, ownsCredit } = desire;
  const limits = input.limits(cgroup.id);
  const quotaCpus = quotaCpusOf(limits);
  const budgetNs = Math.round((slo?.budgetMs ?? 0) * 1e6);
  const reservedCpus = ownsCredit ? input.reservedCpus(cgroup.id) : 0;
  return {
    cgroupId: cgroup.id,
    path: cgroup.path,
    owner,
    slo,
    creditOf: desire.creditOf ?? cgroup.id,
    sloOf: desire.sloOf ?? cgroup.id,
    ancestors,
    quotaCpus: tightest(quotaCpus, ancestors.quotaCpus),
    fixedSlot: undefined,
    policy: {
      cgroupId: cgroup.id,
      budgetNs,
      importance: slo?.importance ?? 1,
      reservedCpus,
      creditCapNs: ownsCredit ? creditCapNs(budgetNs, reservedCpus) : 0,
      weight: limits.weight,
      idle: limits.idle || ancestors.idle,
      quotaNs: limits.quotaNs,
      periodUs: limits.periodUs,
      limited: quotaCpus !== undefined || ancestors.limited,
      deadline: slo !== undefined && effectiveMode(input.mode, slo) === 'enforce',
    },
  };
};

/** Waits, misses and CPU time are counted in this slot, not in its pod's. */
export const isCounted = ({ sloOf, cgroupId }: DesiredSlot): boolean => sloOf === cgroupId;
