/**
 * A kernel in memory: the real slot map over plain buffers, and knobs that write what the BPF side would. For
 * tests of everything above agent/kernel; what the kernel really does is tested against real ones.
 */
import {
  SLO_CONTROL,
  SLO_CPU_SHIFT,
  SLO_HIST_BUCKETS,
  SLO_POLICY,
  SLO_POLICY_DEADLINE,
  SLO_POLICY_IDLE,
  SLO_POLICY_LIMITED,
  SLO_SLOTS,
  SLO_STATS,
} from '../../agent/kernel/layout.gen.ts';
import {
  type CgroupEvent,
  type ExitInfo,
  type KernelEvents,
  type KernelHealth,
  type KernelSession,
  MISS_REASONS,
  type MissEvent,
  type MissReason,
  type SlotPolicy,
  type Throttling,
} from '../../agent/kernel/port.ts';
import { MappedSlotMap } from '../../agent/kernel/slot-map.ts';

export class FakeKernel implements KernelSession {
  readonly kind: 'observer' | 'scheduler';
  readonly slots: MappedSlotMap;
  tellsLimits = false;
  /** cgroup id -> slot, as the kernel would look it up. */
  readonly indexed = new Map<bigint, number>();
  /** Set to make the next index writes fail, as a full hash map would. */
  indexError: string | undefined;
  readonly healthCounters: KernelHealth = {
    eventsDropped: 0,
    cgroupEventsDropped: 0,
    fairFallbacks: 0,
    preemptKicks: 0,
    floorPicks: 0,
    stalls: 0,
    limitChanges: 0,
    expiredDemotions: 0,
    throttles: 0,
    rescues: 0,
  };
  exitInfo: ExitInfo = { kind: 0, exitCode: 0n, reason: '', message: '', dump: '' };
  beats = 0;
  closed = 0;
  readonly #policies = new ArrayBuffer(SLO_SLOTS * SLO_POLICY.size);
  readonly #stats: ArrayBuffer;
  readonly #control = new ArrayBuffer(SLO_CONTROL.size);
  readonly #events: Partial<KernelEvents>;

  constructor(
    options: { kind?: 'observer' | 'scheduler'; llcs?: number; events?: Partial<KernelEvents> } = {},
  ) {
    this.kind = options.kind ?? 'observer';
    this.#events = options.events ?? {};
    this.#stats = new ArrayBuffer(SLO_SLOTS * SLO_STATS.size * (options.llcs ?? 1));
    const memory = { policies: this.#policies, stats: this.#stats, control: this.#control };
    this.slots = new MappedSlotMap(memory, {
      set: (cgroupId, slot) => {
        if (!this.indexError) this.indexed.set(cgroupId, slot);
        return this.indexError;
      },
      delete: (cgroupId) => {
        if (!this.indexError) this.indexed.delete(cgroupId);
        return this.indexError;
      },
      entries: () => new Map(this.indexed),
    });
  }

  health(): KernelHealth {
    return { ...this.healthCounters };
  }

  exit(): ExitInfo {
    return this.exitInfo;
  }

  running(): boolean {
    return this.closed === 0 && this.exitInfo.kind === 0;
  }

  beat(): void {
    this.beats++;
  }

  close(): void {
    this.closed++;
  }

  /** How often the agent published since the start. */
  get generation(): number {
    return new Uint32Array(this.#control)[SLO_CONTROL.generation / 4] ?? 0;
  }

  /** The policy that the kernel would read now; undefined: the slot is free. */
  policy(slot: number): Omit<SlotPolicy, 'reservedCpus'> | undefined {
    const view = new DataView(this.#policies, slot * SLO_POLICY.size, SLO_POLICY.size);
    const cgroupId = view.getBigUint64(SLO_POLICY.cgroupId, true);
    if (cgroupId === 0n) return undefined;
    const flags = view.getUint32(SLO_POLICY.flags, true);
    return {
      cgroupId,
      budgetNs: Number(view.getBigUint64(SLO_POLICY.budgetNs, true)),
      creditCapNs: Number(view.getBigUint64(SLO_POLICY.creditCapNs, true)),
      creditSlot: view.getUint32(SLO_POLICY.creditSlot, true),
      sloSlot: view.getUint32(SLO_POLICY.sloSlot, true),
      parentSlot: view.getUint32(SLO_POLICY.parentSlot, true),
      importance: view.getUint32(SLO_POLICY.importance, true),
      weight: view.getUint32(SLO_POLICY.weight, true),
      quotaNs: Number(view.getBigUint64(SLO_POLICY.quotaNs, true)),
      periodUs: view.getUint32(SLO_POLICY.periodUs, true),
      deadline: (flags & SLO_POLICY_DEADLINE) !== 0,
      limited: (flags & SLO_POLICY_LIMITED) !== 0,
      idle: (flags & SLO_POLICY_IDLE) !== 0,
    };
  }

  /** `count` waits that landed in one histogram bucket, and as many finished bursts. */
  addWaits(slot: number, bucket: number, count: number, waitNs: number): void {
    if (bucket < 0 || bucket >= SLO_HIST_BUCKETS) throw new Error(`no bucket ${bucket}`);
    const view = this.#shard(slot);
    const at = SLO_STATS.hist + bucket * 4;
    view.setUint32(at, view.getUint32(at, true) + count, true);
    this.#add(view, SLO_STATS.bursts, count);
    this.#add(view, SLO_STATS.waitNs, count * waitNs);
  }

  /** `count` bursts that broke their budget; the bursts themselves are added with addWaits. */
  addMisses(slot: number, reason: MissReason, count: number): void {
    this.#add(this.#shard(slot), SLO_STATS.misses + MISS_REASONS.indexOf(reason) * 8, count);
  }

  /** CPU time of the slot. */
  addRun(slot: number, ranNs: number): void {
    this.#add(this.#shard(slot), SLO_STATS.ranNs, ranNs);
  }

  /** What cpu.max did to the slot's cgroup. */
  addThrottling(slot: number, { periods, throttledPeriods, throttledNs }: Throttling): void {
    this.#add(this.#shard(slot), SLO_STATS.periods, periods);
    this.#add(this.#shard(slot), SLO_STATS.throttledPeriods, throttledPeriods);
    this.#add(this.#shard(slot), SLO_STATS.throttledNs, throttledNs);
  }

  /** Somebody wrote to a limit of the slot's cgroup, and this kernel has an op for it. */
  tellLimitChange(slot: number): void {
    this.#add(this.#shard(slot), SLO_STATS.limitChanges, 1);
    this.healthCounters.limitChanges += 1;
  }

  /** Slot 0, which has no cgroup. */
  get system(): { weight: number; parentSlot: number; reservedCpus: number; creditCapNs: number } {
    const view = new DataView(this.#policies, 0, SLO_POLICY.size);
    return {
      weight: view.getUint32(SLO_POLICY.weight, true),
      parentSlot: view.getUint32(SLO_POLICY.parentSlot, true),
      reservedCpus: view.getUint32(SLO_POLICY.reservedCpus, true) / 2 ** SLO_CPU_SHIFT,
      creditCapNs: Number(view.getBigUint64(SLO_POLICY.creditCapNs, true)),
    };
  }

  emitMiss(event: MissEvent): void {
    this.#events.onMiss?.(event);
  }

  emitCgroup(event: CgroupEvent): void {
    this.#events.onCgroup?.(event);
  }

  /** The last shard, so that readers which forget to add shards up are caught. */
  #shard(slot: number): DataView {
    const last = this.#stats.byteLength - SLO_SLOTS * SLO_STATS.size;
    return new DataView(this.#stats, last + slot * SLO_STATS.size, SLO_STATS.size);
  }

  #add(view: DataView, offset: number, amount: number): void {
    view.setBigUint64(offset, view.getBigUint64(offset, true) + BigInt(Math.round(amount)), true);
  }
}
