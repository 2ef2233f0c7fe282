/**
 * The agent's side of the slots: policies in, counters out, through memory that the kernel side shares
 * (bpf/abi.h: policies[], stats[], control) and the index from cgroup id to slot. The memory is little-endian
 * and comes in as plain ArrayBuffers, so that tests and fakes run the same code without a kernel.
 *
 * Counters are 64 bit but read as two halves, exact to 2^53 (104 days of nanoseconds); a half can tear while the
 * kernel writes, which the next reading mends. Policy fields are stored whole, with Atomics: one field, one store.
 */
import { type Failure, failure } from '../failure.ts';
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
} from './layout.gen.ts';
import {
  MISS_REASONS,
  NO_SLOT,
  type SlotMap,
  type SlotPolicy,
  type SlotStats,
  type Throttling,
} from './port.ts';

/** The kernel's hash map from cgroup id to slot. */
export interface SlotIndex {
  /** A word on what went wrong, or undefined. */
  set(cgroupId: bigint, slot: number): string | undefined;
  /** Absent is fine. */
  delete(cgroupId: bigint): string | undefined;
  entries(): Map<bigint, number>;
}

export interface SlotMemory {
  policies: ArrayBuffer;
  /** One shard of SLO_SLOTS structs for each LLC. */
  stats: ArrayBuffer;
  control: ArrayBuffer;
}

/** bpf/abi.h: SLO_SLOT_SYSTEM. */
const SYSTEM_SLOT = 0;
const U32_MAX = 0xffffffff;
const TWO_32 = 2 ** 32;

const flagsOf = ({ deadline, limited, idle }: SlotPolicy): number =>
  (deadline ? SLO_POLICY_DEADLINE : 0) | (limited ? SLO_POLICY_LIMITED : 0) | (idle ? SLO_POLICY_IDLE : 0);

const toU32 = (value: number): number =>
  Number.isNaN(value) ? 0 : Math.min(Math.max(Math.round(value), 0), U32_MAX);

const toU64 = (value: number): bigint =>
  Number.isNaN(value) ? 0n : BigInt(Math.min(Math.max(Math.round(value), 0), Number.MAX_SAFE_INTEGER));

export class MappedSlotMap implements SlotMap {
  readonly capacity = SLO_SLOTS;
  readonly #policy32: Uint32Array;
  readonly #policy64: BigUint64Array;
  readonly #stats: Uint32Array;
  readonly #llcCount: number;
  readonly #control32: Uint32Array;
  readonly #control64: BigUint64Array;
  readonly #index: SlotIndex;

  constructor(memory: SlotMemory, index: SlotIndex) {
    this.#policy32 = new Uint32Array(memory.policies);
    this.#policy64 = new BigUint64Array(memory.policies);
    this.#stats = new Uint32Array(memory.stats);
    this.#llcCount = Math.floor(memory.stats.byteLength / (SLO_SLOTS * SLO_STATS.size));
    this.#control32 = new Uint32Array(memory.control);
    this.#control64 = new BigUint64Array(memory.control);
    this.#index = index;
  }

  /** Buffers of a closed session are empty. */
  get #closed(): boolean {
    return this.#policy32.length === 0;
  }

  assign(slot: number, policy: SlotPolicy): Failure | undefined {
    const problem = this.#problem(slot);
    if (problem) return problem;
    for (let llc = 0; llc < this.#llcCount; llc++) {
      const start = this.#statsAt(llc, slot);
      this.#stats.fill(0, start, start + SLO_STATS.size / 4);
    }
    this.update(slot, policy);
    const error = this.#index.set(policy.cgroupId, slot);
    if (!error) return undefined;
    this.#store64(slot, SLO_POLICY.cgroupId, 0n);
    const next = 'nothing: the pod is counted with its parent until the next plan tries again';
    return failure('SLO_E_SLOT_INDEX', `cgroup ${policy.cgroupId} got no slot`, error, next);
  }

  update(slot: number, policy: SlotPolicy): void {
    if (this.#problem(slot)) return;
    this.#store64(slot, SLO_POLICY.budgetNs, toU64(policy.budgetNs));
    this.#store64(slot, SLO_POLICY.creditCapNs, toU64(policy.creditCapNs));
    this.#store32(slot, SLO_POLICY.reservedCpus, toU32(policy.reservedCpus * 2 ** SLO_CPU_SHIFT));
    this.#store64(slot, SLO_POLICY.quotaNs, toU64(policy.quotaNs));
    this.#store32(slot, SLO_POLICY.periodUs, toU32(policy.periodUs));
    this.#store32(slot, SLO_POLICY.creditSlot, toU32(policy.creditSlot));
    this.#store32(slot, SLO_POLICY.sloSlot, toU32(policy.sloSlot));
    this.#store32(slot, SLO_POLICY.parentSlot, toU32(policy.parentSlot));
    this.#store32(slot, SLO_POLICY.importance, toU32(policy.importance));
    this.#store32(slot, SLO_POLICY.flags, flagsOf(policy));
    this.#store32(slot, SLO_POLICY.weight, toU32(policy.weight));
    // last: a slot with an id is one whose other fields are valid
    this.#store64(slot, SLO_POLICY.cgroupId, policy.cgroupId);
  }

  release(slot: number, cgroupId: bigint): Failure | undefined {
    const problem = this.#problem(slot);
    if (problem) return problem;
    const error = this.#index.delete(cgroupId);
    if (error) {
      const next = 'nothing: it is tried again with the next plan';
      return failure('SLO_E_SLOT_INDEX', `cgroup ${cgroupId} kept its slot`, error, next);
    }
    this.#store64(slot, SLO_POLICY.cgroupId, 0n);
    this.#store64(slot, SLO_POLICY.budgetNs, 0n);
    this.#store64(slot, SLO_POLICY.quotaNs, 0n);
    this.#store32(slot, SLO_POLICY.flags, 0);
    return undefined;
  }

  publish(): void {
    if (!this.#closed) Atomics.add(this.#control32, SLO_CONTROL.generation / 4, 1);
  }

  /** The heartbeat word: `nowNs` of CLOCK_MONOTONIC. */
  beat(nowNs: bigint): void {
    if (!this.#closed) Atomics.store(this.#control64, SLO_CONTROL.heartbeatNs / 8, nowNs);
  }

  stats(slot: number): SlotStats {
    const sum = emptyStats();
    if (this.#problem(slot)) return sum;
    for (let llc = 0; llc < this.#llcCount; llc++) this.#addShard(sum, this.#statsAt(llc, slot));
    return sum;
  }

  limitChanges(slot: number): number {
    return this.#sum(slot, SLO_STATS.limitChanges);
  }

  throttling(slot: number): Throttling {
    return {
      throttledNs: this.#sum(slot, SLO_STATS.throttledNs),
      periods: this.#sum(slot, SLO_STATS.periods),
      throttledPeriods: this.#sum(slot, SLO_STATS.throttledPeriods),
    };
  }

  activity(slot: number): number {
    if (this.#problem(slot)) return 0;
    let sum = 0;
    for (let llc = 0; llc < this.#llcCount; llc++) {
      const at = this.#statsAt(llc, slot);
      sum += this.#counter(at, SLO_STATS.bursts);
      sum += this.#counter(at, SLO_STATS.waitNs);
      sum += this.#counter(at, SLO_STATS.ranNs);
      // All that is counted of a task that waits and waits.
      sum += this.#counter(at, SLO_STATS.misses + MISS_REASONS.indexOf('stall') * 8);
    }
    return sum;
  }

  weighSystem(weight: number): void {
    if (this.#closed) return;
    this.#store32(SYSTEM_SLOT, SLO_POLICY.parentSlot, NO_SLOT);
    this.#store32(SYSTEM_SLOT, SLO_POLICY.weight, toU32(weight));
  }

  reserveSystem(reservedCpus: number, creditCapNs: number): void {
    if (this.#closed) return;
    this.#store64(SYSTEM_SLOT, SLO_POLICY.creditCapNs, toU64(creditCapNs));
    this.#store32(SYSTEM_SLOT, SLO_POLICY.reservedCpus, toU32(reservedCpus * 2 ** SLO_CPU_SHIFT));
  }

  index(): Map<bigint, number> {
    return this.#closed ? new Map() : this.#index.entries();
  }

  /** One counter over all LLCs. */
  #sum(slot: number, offset: number): number {
    if (this.#problem(slot)) return 0;
    let sum = 0;
    for (let llc = 0; llc < this.#llcCount; llc++) sum += this.#counter(this.#statsAt(llc, slot), offset);
    return sum;
  }

  #addShard(sum: SlotStats, at: number): void {
    sum.bursts += this.#counter(at, SLO_STATS.bursts);
    for (const [i, reason] of MISS_REASONS.entries()) {
      sum.misses[reason] += this.#counter(at, SLO_STATS.misses + i * 8);
    }
    sum.waitNs += this.#counter(at, SLO_STATS.waitNs);
    sum.ranNs += this.#counter(at, SLO_STATS.ranNs);
    sum.throttledNs += this.#counter(at, SLO_STATS.throttledNs);
    sum.periods += this.#counter(at, SLO_STATS.periods);
    sum.throttledPeriods += this.#counter(at, SLO_STATS.throttledPeriods);
    sum.eventsDropped += this.#counter(at, SLO_STATS.eventsDropped);
    sum.maxWaitNs = Math.max(sum.maxWaitNs, this.#counter(at, SLO_STATS.maxWaitNs));
    const hist = at + SLO_STATS.hist / 4;
    for (let i = 0; i < SLO_HIST_BUCKETS; i++) {
      sum.hist[i] = (sum.hist[i] ?? 0) + (this.#stats[hist + i] ?? 0);
    }
  }

  #counter(at: number, offset: number): number {
    const word = at + offset / 4;
    return (this.#stats[word] ?? 0) + (this.#stats[word + 1] ?? 0) * TWO_32;
  }

  /** Index of the struct's first word. */
  #statsAt(llc: number, slot: number): number {
    return ((llc * SLO_SLOTS + slot) * SLO_STATS.size) / 4;
  }

  #store32(slot: number, offset: number, value: number): void {
    Atomics.store(this.#policy32, (slot * SLO_POLICY.size + offset) / 4, value);
  }

  #store64(slot: number, offset: number, value: bigint): void {
    Atomics.store(this.#policy64, (slot * SLO_POLICY.size + offset) / 8, value);
  }

  #problem(slot: number): Failure | undefined {
    if (this.#closed) {
      return failure('SLO_E_CLOSED', 'the slot map is closed', 'its session has ended', 'open a session');
    }
    if (Number.isInteger(slot) && slot >= 0 && slot < SLO_SLOTS) return undefined;
    return failure('SLO_E_SLOT', `no slot ${slot}`, `slots are 0 .. ${SLO_SLOTS - 1}`, 'report this bug');
  }
}

const emptyStats = (): SlotStats => ({
  bursts: 0,
  misses: { sched: 0, over: 0, shed: 0, throttle: 0, stall: 0 },
  waitNs: 0,
  ranNs: 0,
  throttledNs: 0,
  periods: 0,
  throttledPeriods: 0,
  eventsDropped: 0,
  maxWaitNs: 0,
  hist: new Uint32Array(SLO_HIST_BUCKETS),
});
