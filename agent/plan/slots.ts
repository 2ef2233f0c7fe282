/** The slot table: who has which slot now. Turns a plan into the writes that make the kernel agree. No I/O. */
import { NO_SLOT, type SlotPolicy } from '../kernel/port.ts';
import { type DesiredSlot, FIRST_SLOT, PODS_SLOT } from './plan.ts';

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

/** A task may have read the old slot number just before it was released, and count into it once more. */
export const REST_MS = 1_000;

const samePolicy = (a: SlotPolicy, b: DesiredSlot['policy'], creditSlot: number): boolean =>
  a.creditSlot === creditSlot &&
  a.budgetNs === b.budgetNs &&
  a.importance === b.importance &&
  a.reservedCpus === b.reservedCpus &&
  a.creditCapNs === b.creditCapNs &&
  a.weight === b.weight &&
  a.deadline === b.deadline;

export class SlotTable {
  readonly #entries = new Map<bigint, SlotEntry>();
  /** Slots that were used and have rested. */
  readonly #free: number[] = [];
  /** Released slots in the order of their release. */
  #resting: { slot: number; untilMs: number }[] = [];
  #nextUnused = FIRST_SLOT;
  #round = 0;
  #podsSlotFreeAtMs = 0;
  #podsSlotOwner: bigint | undefined;
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  entries(): IterableIterator<SlotEntry> {
    return this.#entries.values();
  }

  get(cgroupId: bigint): SlotEntry | undefined {
    return this.#entries.get(cgroupId);
  }

  /** Makes the table equal to the plan as far as slots are free. The plan fits the capacity (plan.ts). */
  reconcile(desired: readonly DesiredSlot[], nowMs: number): Reconciliation {
    this.#wake(nowMs);
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
    return { writes, waiting, retryAtMs: waiting > 0 ? this.#nextWakeMs(nowMs) : undefined };
  }

  /**
   * One newcomer, between two plans. @returns undefined where it is in the table already or no slot is free; the
   * next plan then decides.
   */
  add(desired: DesiredSlot, nowMs: number): SlotWrite | undefined {
    if (this.#entries.has(desired.cgroupId)) return undefined;
    this.#wake(nowMs);
    const entry = this.#enter(desired, nowMs);
    if (entry === undefined) return undefined;
    entry.policy = this.#policyOf(entry);
    return { op: 'assign', slot: entry.slot, entry };
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
    this.#resting = this.#resting.filter(({ slot }) => slot !== entry.slot);
    if (entry.slot === PODS_SLOT) this.#podsSlotOwner = entry.desired.cgroupId;
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
      if (samePolicy(entry.policy, entry.desired.policy, this.#creditSlotOf(entry))) continue;
      entry.policy = this.#policyOf(entry);
      writes.push({ op: 'update', slot: entry.slot, entry });
    }
  }

  #creditSlotOf({ slot, desired }: SlotEntry): number {
    return this.#entries.get(desired.creditOf)?.slot ?? slot;
  }

  #policyOf(entry: SlotEntry): SlotPolicy {
    return {
      ...entry.desired.policy,
      creditSlot: this.#creditSlotOf(entry),
      sloSlot: entry.slot,
      parentSlot: NO_SLOT,
    };
  }

  #enter(desired: DesiredSlot, nowMs: number): SlotEntry | undefined {
    const slot = this.#allocate(desired, nowMs);
    if (slot === undefined) return undefined;
    const policy = { ...desired.policy, creditSlot: slot, sloSlot: slot, parentSlot: NO_SLOT };
    const entry: SlotEntry = { slot, desired, policy, round: this.#round };
    this.#entries.set(desired.cgroupId, entry);
    return entry;
  }

  #drop(entry: SlotEntry, nowMs: number): void {
    this.#entries.delete(entry.desired.cgroupId);
    if (entry.slot === PODS_SLOT) {
      this.#podsSlotOwner = undefined;
      this.#podsSlotFreeAtMs = nowMs + REST_MS;
    } else {
      this.#resting.push({ slot: entry.slot, untilMs: nowMs + REST_MS });
    }
  }

  #allocate(wish: DesiredSlot, nowMs: number): number | undefined {
    if (wish.fixedSlot === PODS_SLOT) {
      if (this.#podsSlotOwner !== undefined || nowMs < this.#podsSlotFreeAtMs) return undefined;
      this.#podsSlotOwner = wish.cgroupId;
      return PODS_SLOT;
    }
    const rested = this.#free.pop();
    if (rested !== undefined) return rested;
    if (this.#nextUnused >= this.#capacity) return undefined;
    this.#nextUnused += 1;
    return this.#nextUnused - 1;
  }

  #wake(nowMs: number): void {
    let awake = 0;
    for (const { slot, untilMs } of this.#resting) {
      if (untilMs > nowMs) break;
      this.#free.push(slot);
      awake += 1;
    }
    if (awake > 0) this.#resting = this.#resting.slice(awake);
  }

  #nextWakeMs(nowMs: number): number {
    const slotMs = this.#resting[0]?.untilMs ?? Number.POSITIVE_INFINITY;
    const podsSlotMs = this.#podsSlotFreeAtMs > nowMs ? this.#podsSlotFreeAtMs : Number.POSITIVE_INFINITY;
    const soonest = Math.min(slotMs, podsSlotMs);
    return Number.isFinite(soonest) ? soonest : nowMs + REST_MS;
  }
}
