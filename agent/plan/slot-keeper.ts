/** Carries a plan into the kernel's slots, and keeps for each who is counted in it. */
import { type Failure, isFailure } from '../failure.ts';
import type { KernelSession, SlotMap } from '../kernel/port.ts';
import type { Ledger, Meter } from '../observe/ledger.ts';
import type { ThrottleLedger } from '../observe/throttle-ledger.ts';
import { SYSTEM_SLOT } from './ancestry.ts';
import { type DesiredSlot, isCounted } from './desired-slot.ts';
import {
  callerKeyOf,
  isHot,
  isUnknown,
  type LiveSlot,
  labelsOf,
  SYSTEM_LABELS,
  sameLabels,
  sameOwner,
} from './live-slot.ts';
import { type Demand, type ReadLimits, SlotReader } from './slot-reader.ts';
import { type SlotEntry, SlotTable, type SlotWrite } from './slots.ts';
import type { SystemDemand } from './system-reservation.ts';

export interface ApplyResult {
  assigned: SlotEntry[];
  failures: Failure[];
  retryAtMs: number | undefined;
}

export interface NewReservation {
  cgroupId: bigint;
  reservedCpus: number;
  creditCapNs: number;
}

export class SlotKeeper {
  readonly #ledger: Ledger;
  readonly #throttles: ThrottleLedger;
  readonly #live = new Map<bigint, LiveSlot>();
  #slots: SlotMap | undefined;
  #reader: SlotReader | undefined;
  #table = new SlotTable(0);
  #system: Meter | undefined;
  #systemLimitChanges = 0;
  #systemDid: SystemDemand = { ranNs: 0, waitNs: 0 };
  #attachedAtMs = 0;
  #revision = 0;

  constructor(ledger: Ledger, throttles: ThrottleLedger) {
    this.#ledger = ledger;
    this.#throttles = throttles;
  }

  get capacity(): number {
    return this.#slots?.capacity ?? 0;
  }

  /** When the session began. */
  get attachedAtMs(): number {
    return this.#attachedAtMs;
  }

  /** Grows with every change of who has a slot, and of what is wanted of one. */
  get revision(): number {
    return this.#revision;
  }

  get used(): number {
    return this.#table.size;
  }

  get(cgroupId: bigint): SlotEntry | undefined {
    return this.#table.get(cgroupId);
  }

  /** Can be gone through more than once. */
  live(): Iterable<LiveSlot> {
    return { [Symbol.iterator]: () => this.#live.values() };
  }

  /** A new session has no slot assigned. */
  attach(session: KernelSession | undefined, nowMs: number): void {
    this.#attachedAtMs = nowMs;
    this.#revision += 1;
    this.#slots = session?.slots;
    this.#table = new SlotTable(this.capacity);
    this.#live.clear();
    this.#reader =
      session === undefined
        ? undefined
        : new SlotReader(this.#live, session.slots, this.#ledger, this.#throttles);
    this.#system = session === undefined ? undefined : this.#ledger.open(SYSTEM_LABELS, false, nowMs);
    this.#systemLimitChanges = 0;
    this.#systemDid = { ranNs: 0, waitNs: 0 };
  }

  /** Makes the kernel agree with a whole plan. */
  apply(desired: readonly DesiredSlot[], nowMs: number): ApplyResult {
    this.#revision += 1;
    const { writes, retryAtMs } = this.#table.reconcile(desired, nowMs);
    const result = { ...this.#writeAll(writes, nowMs), retryAtMs };
    this.#followOwners(nowMs);
    return result;
  }

  /** Cgroups that appeared or went, between two plans. */
  applyChanges(added: readonly DesiredSlot[], removed: readonly bigint[], nowMs: number): ApplyResult {
    this.#revision += 1;
    const releases = removed.map((cgroupId) => this.#table.remove(cgroupId, nowMs));
    const assigns = added.map((desired) => this.#table.add(desired, nowMs));
    const writes = [...releases, ...assigns].filter((write) => write !== undefined);
    return { ...this.#writeAll(writes, nowMs), retryAtMs: undefined };
  }

  /** Pods that became known, or changed, between two plans: their slots follow, and get there where there is none. */
  applyPods(desired: readonly DesiredSlot[], nowMs: number): ApplyResult {
    this.#revision += 1;
    const writes = desired.flatMap((wish) => {
      const known = this.#table.get(wish.cgroupId) !== undefined;
      return (known ? this.#table.change(wish) : this.#table.add(wish, nowMs)) ?? [];
    });
    const result = { ...this.#writeAll(writes, nowMs), retryAtMs: undefined };
    for (const { cgroupId } of desired) {
      const live = this.#live.get(cgroupId);
      if (live !== undefined) this.#followOwner(live, nowMs);
    }
    return result;
  }

  /** New reservations go to the kernel at once; no plan has to be made for them. */
  reserve(reservations: Iterable<NewReservation>, nowMs: number): void {
    for (const { cgroupId, reservedCpus, creditCapNs } of reservations) {
      const write = this.#table.reserve(cgroupId, reservedCpus, creditCapNs);
      if (write !== undefined) this.#writeAll([write], nowMs);
    }
  }

  weighSystem(weight: number): void {
    this.#slots?.weighSystem(weight);
  }

  reserveSystem(reservedCpus: number, creditCapNs: number): void {
    this.#slots?.reserveSystem(reservedCpus, creditCapNs);
  }

  read(limits: ReadLimits, nowMs: number): void {
    this.#reader?.turn(limits, nowMs);
    if (this.#system === undefined || this.#slots === undefined) return;
    const { ranNs, waitNs } = this.#ledger.read(this.#system, this.#slots.stats(SYSTEM_SLOT), nowMs);
    this.#systemDid.ranNs += ranNs;
    this.#systemDid.waitNs += waitNs;
  }

  /** Everything, a last time. */
  readAll(nowMs: number): void {
    this.#reader?.readAll(nowMs);
  }

  takeDemands(): ReadonlyMap<bigint, Demand> {
    return this.#reader?.takeDemands() ?? new Map();
  }

  /** What everything outside the pods did since the last call. */
  takeSystemDemand(): SystemDemand {
    const did = this.#systemDid;
    this.#systemDid = { ranNs: 0, waitNs: 0 };
    return did;
  }

  /** Cgroups whose limits somebody wrote since the last call; `system`: so did somebody outside the pods. */
  takeLimitChanges(): { cgroupIds: bigint[]; system: boolean } {
    const system = this.#slots?.limitChanges(SYSTEM_SLOT) ?? 0;
    const changed = system !== this.#systemLimitChanges;
    this.#systemLimitChanges = system;
    return { cgroupIds: this.#reader?.takeLimitChanges() ?? [], system: changed };
  }

  #writeAll(writes: readonly SlotWrite[], nowMs: number): Omit<ApplyResult, 'retryAtMs'> {
    const result: Omit<ApplyResult, 'retryAtMs'> = { assigned: [], failures: [] };
    const slots = this.#slots;
    if (slots === undefined) return result;
    for (const write of writes) {
      const problem = this.#write(slots, write, nowMs);
      if (isFailure(problem)) result.failures.push(problem);
      else if (write.op === 'assign') result.assigned.push(write.entry);
    }
    // Policies are read in place; only a changed index makes cached answers of the kernel side stale.
    if (writes.some((write) => write.op !== 'update')) slots.publish();
    return result;
  }

  #write(slots: SlotMap, { op, slot, entry }: SlotWrite, nowMs: number): Failure | undefined {
    const { cgroupId } = entry.desired;
    if (op === 'update') {
      slots.update(slot, entry.policy);
      return undefined;
    }
    if (op === 'release') return this.#release(slots, entry, nowMs);
    const problem = slots.assign(slot, entry.policy);
    if (problem !== undefined) {
      this.#table.forget(cgroupId, nowMs);
      return problem;
    }
    this.#live.set(cgroupId, this.#begin(entry, nowMs));
    return undefined;
  }

  #begin(entry: SlotEntry, nowMs: number): LiveSlot {
    const { desired } = entry;
    const meter = isCounted(desired)
      ? this.#ledger.open(labelsOf(desired.owner), isHot(desired), nowMs)
      : undefined;
    const counts = { cpus: 0, wantedCpus: 0, activity: 0, limitChanges: 0 };
    const { owner } = desired;
    return { entry, owner, callerKey: callerKeyOf(owner), meter, throttle: undefined, ...counts };
  }

  #release(slots: SlotMap, entry: SlotEntry, nowMs: number): Failure | undefined {
    const { cgroupId } = entry.desired;
    const live = this.#live.get(cgroupId);
    if (live !== undefined) this.#reader?.readNow(live, nowMs);
    const problem = slots.release(entry.slot, cgroupId);
    if (problem === undefined) this.#live.delete(cgroupId);
    else this.#table.restore(entry);
    return problem;
  }

  /** A pod that became known, or got an SLO, counts under its own name from now on. */
  #followOwners(nowMs: number): void {
    for (const live of this.#live.values()) this.#followOwner(live, nowMs);
  }

  #followOwner(live: LiveSlot, nowMs: number): void {
    const { desired } = live.entry;
    const asBefore =
      (live.meter !== undefined) === isCounted(desired) &&
      (live.meter?.second !== undefined) === (isCounted(desired) && isHot(desired));
    if (!asBefore || !sameOwner(live.owner, desired.owner)) this.#follow(live, asBefore, nowMs);
  }

  #follow(live: LiveSlot, asBefore: boolean, nowMs: number): void {
    const { desired, slot } = live.entry;
    const labels = labelsOf(desired.owner);
    const wasUnknown = isUnknown(live.owner);
    const isRenamed = !sameLabels(labelsOf(live.owner), labels);
    // What a pod did before its name was known is still its own.
    if ((isRenamed || !asBefore) && !wasUnknown) this.#reader?.readNow(live, nowMs);
    live.owner = desired.owner;
    live.callerKey = callerKeyOf(desired.owner);
    if (isRenamed && live.throttle !== undefined)
      live.throttle = this.#throttles.open(labels, nowMs, live.throttle.last);
    if (!isCounted(desired)) live.meter = undefined;
    else if (live.meter === undefined) live.meter = this.#meterSince(slot, desired, nowMs);
    else if (isRenamed || !asBefore)
      live.meter = this.#ledger.move(live.meter, labels, isHot(desired), nowMs);
  }

  /** Of a slot that counted for its pod until now. */
  #meterSince(slot: number, desired: DesiredSlot, nowMs: number): Meter {
    const meter = this.#ledger.open(labelsOf(desired.owner), isHot(desired), nowMs);
    if (this.#slots !== undefined) meter.last = this.#slots.stats(slot);
    return meter;
  }
}
