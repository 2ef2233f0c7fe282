/** More cgroups than slots: who goes without. Pure. */
import { type DesiredSlot, isCounted } from './desired-slot.ts';

/** Slots that the kernel side keeps for itself: system and pods without a slot (bpf/abi.h: SLO_SLOT_FIRST). */
export const FIRST_SLOT = 2;

/** Left out because there are more cgroups than slots; its tasks count for the nearest ancestor with a slot. */
export interface Eviction {
  path: string;
  importance: number | undefined;
}

export interface Kept {
  slots: DesiredSlot[];
  evicted: Eviction[];
}

const ABOVE_EVERY_IMPORTANCE = 1_000;

const isHierarchy = ({ owner }: DesiredSlot): boolean =>
  owner.kind === 'pods-root' || owner.kind === 'qos' || owner.kind === 'folder';

/** The hierarchy stays, then it goes by importance, then pods that are only accounted for, then their containers. */
const rankOf = (slot: DesiredSlot): number => {
  if (isHierarchy(slot)) return ABOVE_EVERY_IMPORTANCE;
  if (slot.slo !== undefined) return slot.slo.importance;
  if (!isCounted(slot)) return -1;
  const { owner } = slot;
  // its containers draw on its credit
  if (owner.kind !== 'pod') return 0;
  return Math.max(0, ...owner.pod.containers.map((container) => container.slo?.importance ?? 0));
};

/** @param slots in their order, which those that stay keep; @param capacity of the kernel; 0: no session, no slots. */
export const withinCapacity = (slots: DesiredSlot[], capacity: number): Kept => {
  if (capacity === 0) return { slots: [], evicted: [] };
  const room =
    Math.max(0, capacity - FIRST_SLOT) + (slots.some((slot) => slot.fixedSlot !== undefined) ? 1 : 0);
  if (slots.length <= room) return { slots, evicted: [] };
  const byRank = slots.map((slot, order) => ({ slot, order, rank: rankOf(slot) }));
  byRank.sort((a, b) => b.rank - a.rank || a.order - b.order);
  const kept = byRank.slice(0, room).sort((a, b) => a.order - b.order);
  const evicted = byRank
    .slice(room)
    .map(({ slot }) => ({ path: slot.path, importance: slot.slo?.importance }));
  return { slots: kept.map(({ slot }) => slot), evicted };
};
