/** Carries a plan into the kernel's slots, and reads the counters of those slots into the ledger. */
import { type Failure, isFailure } from '../failure.ts';
import type { KernelSession, SlotMap } from '../kernel/port.ts';
import type { Ledger, Meter, SeriesLabels, SlotDelta } from '../observe/ledger.ts';
import type { DesiredSlot, SlotOwner } from './plan.ts';
import { type SlotEntry, SlotTable, type SlotWrite } from './slots.ts';

/** What a credit owner's slots did since the last reservation step. */
export interface Demand {
  ranNs: number;
  waitNs: number;
  overMisses: number;
}

export interface ApplyResult {
  assigned: SlotEntry[];
  failures: Failure[];
  retryAtMs: number | undefined;
}

/** bpf/abi.h: SLO_SLOT_SYSTEM, not in the table. */
const SYSTEM_SLOT = 0;
const SYSTEM_LABELS: SeriesLabels = { namespace: '', pod: '(system)', container: '' };

export const labelsOf = (owner: SlotOwner): SeriesLabels => {
  switch (owner.kind) {
    case 'pod':
      return { namespace: owner.pod.namespace, pod: owner.pod.name, container: '' };
    case 'container':
      return { namespace: owner.pod.namespace, pod: owner.pod.name, container: owner.container };
    case 'path':
      return { namespace: '', pod: owner.target.path, container: '' };
    case 'pods-root':
      return { namespace: '', pod: '(pods)', container: '' };
    case 'unknown-pod':
      return { namespace: '', pod: '(unknown)', container: '' };
  }
};

/** Worth reading often: it has an SLO, or its credit serves a container that has one. */
const isHot = ({ policy }: DesiredSlot): boolean => policy.budgetNs > 0 || policy.creditCapNs > 0;

const sameLabels = (a: SeriesLabels, b: SeriesLabels): boolean =>
  a.namespace === b.namespace && a.pod === b.pod && a.container === b.container;

/** Cheap and on the safe side: a new object for the same pod is looked at again. */
const sameOwner = (a: SlotOwner, b: SlotOwner): boolean => {
  if (a === b) return true;
  if (a.kind === 'unknown-pod') return b.kind === 'unknown-pod';
  return a.kind === 'pod' && b.kind === 'pod' && a.pod === b.pod;
};

export interface LiveSlot {
  entry: SlotEntry;
  /** For whom the meter counts. */
  owner: SlotOwner;
  meter: Meter;
  /** CPUs used, between the last two reads. */
  cpus: number;
}

export class SlotKeeper {
  readonly #ledger: Ledger;
  #slots: SlotMap | undefined;
  #table = new SlotTable(0);
  readonly #live = new Map<bigint, LiveSlot>();
  #system: Meter | undefined;
  #attachedAtMs = 0;
  #demands = new Map<bigint, Demand>();
  /** Where the slow round over slots without an SLO goes on. */
  #cursor: IterableIterator<LiveSlot> = this.#live.values();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  get capacity(): number {
    return this.#slots?.capacity ?? 0;
  }

  /** When the session began. */
  get attachedAtMs(): number {
    return this.#attachedAtMs;
  }

  get used(): number {
    return this.#table.size;
  }

  get(cgroupId: bigint): SlotEntry | undefined {
    return this.#table.get(cgroupId);
  }

  live(): IterableIterator<LiveSlot> {
    return this.#live.values();
  }

  /** A new session has no slot assigned. */
  attach(session: KernelSession | undefined, nowMs: number): void {
    this.#attachedAtMs = nowMs;
    this.#slots = session?.slots;
    this.#table = new SlotTable(this.capacity);
    this.#live.clear();
    this.#cursor = this.#live.values();
    this.#system = session === undefined ? undefined : this.#ledger.open(SYSTEM_LABELS, false, nowMs);
  }

  /** Makes the kernel agree with a whole plan. */
  apply(desired: readonly DesiredSlot[], nowMs: number): ApplyResult {
    const { writes, retryAtMs } = this.#table.reconcile(desired, nowMs);
    const result = { ...this.#writeAll(writes, nowMs), retryAtMs };
    this.#followOwners(nowMs);
    return result;
  }

  /** Cgroups that appeared or went, between two plans. */
  applyChanges(added: readonly DesiredSlot[], removed: readonly bigint[], nowMs: number): ApplyResult {
    const releases = removed.map((cgroupId) => this.#table.remove(cgroupId, nowMs));
    const assigns = added.map((desired) => this.#table.add(desired, nowMs));
    const writes = [...releases, ...assigns].filter((write) => write !== undefined);
    return { ...this.#writeAll(writes, nowMs), retryAtMs: undefined };
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

  /** Reads every slot with an SLO, and at most `others` of the rest. */
  read(others: number, nowMs: number): void {
    for (const live of this.#live.values()) if (isHot(live.entry.desired)) this.#readOne(live, nowMs);
    this.#readRound(others, nowMs);
    if (this.#system !== undefined && this.#slots !== undefined) {
      this.#ledger.read(this.#system, this.#slots.stats(SYSTEM_SLOT), nowMs);
    }
  }

  /** Everything, a last time. */
  readAll(nowMs: number): void {
    for (const live of this.#live.values()) this.#readOne(live, nowMs);
  }

  takeDemands(): ReadonlyMap<bigint, Demand> {
    const demands = this.#demands;
    this.#demands = new Map();
    return demands;
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
    const meter = this.#ledger.open(labelsOf(entry.desired.owner), isHot(entry.desired), nowMs);
    this.#live.set(cgroupId, { entry, owner: entry.desired.owner, meter, cpus: 0 });
    return undefined;
  }

  #release(slots: SlotMap, entry: SlotEntry, nowMs: number): Failure | undefined {
    const { cgroupId } = entry.desired;
    const live = this.#live.get(cgroupId);
    if (live !== undefined) this.#readOne(live, nowMs);
    const problem = slots.release(entry.slot, cgroupId);
    if (problem === undefined) this.#live.delete(cgroupId);
    else this.#table.restore(entry);
    return problem;
  }

  /** A pod that became known, or got an SLO, counts under its own name from now on. */
  #followOwners(nowMs: number): void {
    for (const live of this.#live.values()) {
      const { desired } = live.entry;
      const followed = live.meter.second !== undefined;
      if (followed === isHot(desired) && sameOwner(live.owner, desired.owner)) continue;
      const wasUnknown = live.owner.kind === 'unknown-pod';
      live.owner = desired.owner;
      const labels = labelsOf(desired.owner);
      if (followed === isHot(desired) && sameLabels(labels, live.meter.series.labels)) continue;
      // What a pod did before its name was known is still its own.
      if (!wasUnknown) this.#readOne(live, nowMs);
      live.meter = this.#ledger.move(live.meter, labels, isHot(desired), nowMs);
    }
  }

  #readRound(count: number, nowMs: number): void {
    for (let n = 0; n < count; n += 1) {
      const next = this.#cursor.next();
      if (next.done === true) {
        this.#cursor = this.#live.values();
        return;
      }
      if (!isHot(next.value.entry.desired)) this.#readOne(next.value, nowMs);
    }
  }

  #readOne(live: LiveSlot, nowMs: number): void {
    if (this.#slots === undefined) return;
    const delta = this.#ledger.read(live.meter, this.#slots.stats(live.entry.slot), nowMs);
    if (delta.sinceMs > 0) live.cpus = delta.ranNs / (delta.sinceMs * 1e6);
    if (isHot(live.entry.desired)) this.#addDemand(live.entry.desired.creditOf, delta);
  }

  #addDemand(creditOf: bigint, delta: SlotDelta): void {
    const demand = this.#demands.get(creditOf) ?? { ranNs: 0, waitNs: 0, overMisses: 0 };
    demand.ranNs += delta.ranNs;
    demand.waitNs += delta.waitNs;
    demand.overMisses += delta.overMisses;
    this.#demands.set(creditOf, demand);
  }
}
