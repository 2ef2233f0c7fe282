/** The slot table: who has which slot now. Turns a plan into the writes that make the kernel agree. No I/O. */
import type { SlotPolicy } from '../kernel/port.ts';
import type { DesiredSlot } from './desired-slot.ts';
import { PODS_SLOT } from './plan.ts';
import { SlotPool } from './slot-pool.ts';

export interface SlotEntry {
  slot: number;
  desired: DesiredSlot;
  policy: SlotPolicy;
  /** The last reconcile that wanted it. */
  round: number;
}

export type SlotWrite =
  | { op: 'release'; slot: number; entry: SlotEntry }
  | { op: 'assign'; slot: number; entry: SlotEntry }
  | { op: 'update'; slot: number; entry: SlotEntry };

export interface Reconciliation {
  /** In the order in which they must be done. */
  writes: SlotWrite[];
  /** Cgroups that wait until a released slot has rested. */
  waiting: number;
  /** When it makes sense to try again for those; undefined where none waits. */
  retryAtMs: number | undefined;
}

const samePolicy = (a: SlotPolicy, b: SlotPolicy): boolean =>
  a.parentSlot === b.parentSlot &&
  a.sloSlot === b.sloSlot &&
  a.creditSlot === b.creditSlot &&
  a.budgetNs === b.budgetNs &&
  a.importance === b.importance &&
  a.reservedCpus === b.reservedCpus &&
  a.creditCapNs === b.creditCapNs &&
  a.weight === b.weight &&
  a.idle === b.idle &&
  a.quotaNs === b.quotaNs &&
  a.periodUs === b.periodUs &&
  a.limited === b.limited &&
  a.deadline === b.deadline;

export class SlotTable {
  readonly #entries = new Map<bigint, SlotEntry>();
  #round = 0;
  readonly #pool: SlotPool;

  constructor(capacity: number) {
    this.#pool = new SlotPool(capacity);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(cgroupId: bigint): SlotEntry | undefined {
    return this.#entries.get(cgroupId);
  }

  /** Makes the table equal to the plan as far as slots are free. The plan fits the capacity (plan.ts). */
  reconcile(desired: readonly DesiredSlot[], nowMs: number): Reconciliation {
    this.#round += 1;
    const newcomers = desired.filter((wish) => !this.#keep(wish));
    const writes = this.#releaseOthers(nowMs);
    const fresh = newcomers.flatMap((wish) => this.#enter(wish, nowMs) ?? []);
    for (const entry of fresh) {
      entry.policy = this.#policyOf(entry);
      writes.push({ op: 'assign', slot: entry.slot, entry });
    }
    this.#updates(writes);
    const waiting = newcomers.length - fresh.length;
    return { writes, waiting, retryAtMs: waiting > 0 ? this.#pool.nextFreeMs(nowMs) : undefined };
  }

  /**
   * One newcomer, between two plans. @returns undefined where it is in the table already or no slot is free; the
   * next plan then decides.
   */
  add(desired: DesiredSlot, nowMs: number): SlotWrite | undefined {
    if (this.#entries.has(desired.cgroupId)) return undefined;
    const entry = this.#enter(desired, nowMs);
    return entry && { op: 'assign', slot: entry.slot, entry };
  }

  /** What is wanted of a slot now, between two plans. @returns undefined where the kernel need not know. */
  change(desired: DesiredSlot): SlotWrite | undefined {
    const entry = this.#entries.get(desired.cgroupId);
    if (entry === undefined || !this.#keep(desired)) return undefined;
    const policy = this.#policyOf(entry);
    if (samePolicy(entry.policy, policy)) return undefined;
    entry.policy = policy;
    return { op: 'update', slot: entry.slot, entry };
  }

  /** A new reservation, between two plans. @returns undefined where nothing changes. */
  reserve(cgroupId: bigint, reservedCpus: number, creditCapNs: number): SlotWrite | undefined {
    const entry = this.#entries.get(cgroupId);
    if (entry === undefined || entry.policy.reservedCpus === reservedCpus) return undefined;
    entry.policy = { ...entry.policy, reservedCpus, creditCapNs };
    return { op: 'update', slot: entry.slot, entry };
  }

  /** One cgroup that went, between two plans. */
  remove(cgroupId: bigint, nowMs: number): SlotWrite | undefined {
    const entry = this.#entries.get(cgroupId);
    if (entry === undefined) return undefined;
    this.#drop(entry, nowMs);
    return { op: 'release', slot: entry.slot, entry };
  }

  /** The kernel did not take the slot: it rests, and the next reconcile tries another. */
  forget(cgroupId: bigint, nowMs: number): void {
    const entry = this.#entries.get(cgroupId);
    if (entry !== undefined) this.#drop(entry, nowMs);
  }

  /** The kernel did not let the slot go: it stays taken, and the next reconcile releases it again. */
  restore(entry: SlotEntry): void {
    this.#entries.set(entry.desired.cgroupId, entry);
    this.#pool.keep(entry.slot);
  }

  /** @returns false for a newcomer. */
  #keep(wish: DesiredSlot): boolean {
    const entry = this.#entries.get(wish.cgroupId);
    if (entry === undefined || (wish.fixedSlot === PODS_SLOT) !== (entry.slot === PODS_SLOT)) return false;
    entry.desired = wish;
    entry.round = this.#round;
    return true;
  }

  /** Whatever this round did not keep. */
  #releaseOthers(nowMs: number): SlotWrite[] {
    const writes: SlotWrite[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.round === this.#round) continue;
      this.#drop(entry, nowMs);
      writes.push({ op: 'release', slot: entry.slot, entry });
    }
    return writes;
  }

  #updates(writes: SlotWrite[]): void {
    for (const entry of this.#entries.values()) {
      const policy = this.#policyOf(entry);
      if (samePolicy(entry.policy, policy)) continue;
      entry.policy = policy;
      writes.push({ op: 'update', slot: entry.slot, entry });
    }
  }

  /** The slot of another cgroup; the own one where that has none. */
  #slotOf(cgroupId: bigint, own: number): number {
    return this.#entries.get(cgroupId)?.slot ?? own;
  }

  #parentSlotOf({ ids, otherwise }: DesiredSlot['ancestors']): number {
    for (const id of ids) {
      const parent = this.#entries.get(id);
      if (parent !== undefined) return parent.slot;
    }
    return otherwise;
  }

  #policyOf({ slot, desired }: Pick<SlotEntry, 'slot' | 'desired'>): SlotPolicy {
    return {
      ...desired.policy,
      creditSlot: this.#slotOf(desired.creditOf, slot),
      sloSlot: this.#slotOf(desired.sloOf, slot),
      parentSlot: this.#parentSlotOf(desired.ancestors),
    };
  }

  #enter(desired: DesiredSlot, nowMs: number): SlotEntry | undefined {
    const slot = this.#pool.take(desired.fixedSlot, nowMs);
    if (slot === undefined) return undefined;
    const entry = { slot, desired, policy: this.#policyOf({ slot, desired }), round: this.#round };
    this.#entries.set(desired.cgroupId, entry);
    return entry;
  }

  #drop(entry: SlotEntry, nowMs: number): void {
    this.#entries.delete(entry.desired.cgroupId);
    this.#pool.release(entry.slot, nowMs);
  }
}
