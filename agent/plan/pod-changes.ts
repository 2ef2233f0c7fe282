/** What changed of the pods since the last plan, where that is all that changed. Pure. */
import type { PodTarget, Target } from '../pods/target.ts';
import type { Claims } from './claims.ts';
import type { DesiredSlot } from './desired-slot.ts';
import { type PlanInput, planNewcomer } from './plan.ts';

export interface PodChanges {
  /** As a full plan would find them, but for what only that can know: unresolved pods. */
  claims: Claims;
  /** cgroupUids of pods that came, went or are another object now. */
  changed: string[];
}

/**
 * A pod that is the same object as before is the same pod: sources hand out a new one for each change.
 *
 * @returns undefined where only a full plan can tell: path rules, or two claimants of one cgroup, now or before.
 */
export const podChanges = (before: Claims, targets: readonly Target[]): PodChanges | undefined => {
  if (before.pathNames.size > 0 || before.conflicts.length > 0) return undefined;
  const pods = new Map<string, PodTarget>();
  const changed: string[] = [];
  for (const target of targets) {
    if (target.kind !== 'pod' || pods.has(target.cgroupUid)) return undefined;
    pods.set(target.cgroupUid, target);
    if (before.pods.get(target.cgroupUid) !== target) changed.push(target.cgroupUid);
  }
  for (const uid of before.pods.keys()) if (!pods.has(uid)) changed.push(uid);
  return { claims: { ...before, pods }, changed };
};

export interface FollowedPods {
  claims: Claims;
  /** Of the pods that changed and have a cgroup. */
  slots: DesiredSlot[];
}

/** @returns undefined where only a full plan can tell, or would be as quick. @param most pods that may have changed. */
export const followPods = (input: PlanInput, before: Claims, most: number): FollowedPods | undefined => {
  const changes = podChanges(before, input.targets);
  if (changes === undefined || changes.changed.length > most) return undefined;
  const { claims, changed } = changes;
  const slots = changed.flatMap((uid) => {
    const cgroup = input.tree.pod(uid);
    return cgroup === undefined ? [] : (planNewcomer(input, claims, cgroup) ?? []);
  });
  return { claims, slots };
};
