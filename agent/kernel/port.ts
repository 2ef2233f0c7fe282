/**
 * What the rest of the agent knows of the kernel side. Everything behind it (koffi, libbpf, mmaps) lives in
 * this folder; tests put a fake here (test/fakes/kernel.ts).
 */
import type { Failure } from '../failure.ts';

export type Mode = 'observe' | 'advisory' | 'enforce';

/** One row of the kernel's `policies` array (bpf/abi.h: struct slo_policy). */
export interface SlotPolicy {
  cgroupId: bigint;
  /** 0: accounting only. */
  budgetNs: number;
  importance: number;
  /** CPUs, fractional: how fast the slot's credit refills. */
  reservedCpus: number;
  creditCapNs: number;
  /** The slot whose credit this one draws on: itself, or its pod's. */
  creditSlot: number;
  /** The slot whose budget counts, and where waits and misses are counted: itself, or its pod's. */
  sloSlot: number;
  /** The nearest ancestor's; NO_SLOT for a child of the hierarchy's root. */
  parentSlot: number;
  /** cpu.weight of the cgroup, 1 .. 10000. */
  weight: number;
  /** cpu.idle of the cgroup or of an ancestor. */
  idle: boolean;
  /** cpu.max: CPU time in each period; 0: no limit. */
  quotaNs: number;
  periodUs: number;
  /** The cgroup or an ancestor has a quota. */
  limited: boolean;
  /** false: fair tier only (mode advisory or observe of the pod). */
  deadline: boolean;
}

/** SlotPolicy.parentSlot of a child of the hierarchy's root (bpf/abi.h: SLO_NO_SLOT). */
export const NO_SLOT = 0xffff_ffff;

export const MISS_REASONS = ['sched', 'over', 'shed', 'throttle', 'stall'] as const;
export type MissReason = (typeof MISS_REASONS)[number];

/** Counters of one slot, summed over LLCs; they only grow while the slot has the same cgroup. */
export interface SlotStats {
  bursts: number;
  misses: Record<MissReason, number>;
  waitNs: number;
  ranNs: number;
  /** Runnable but held back by cpu.max, summed over tasks. */
  throttledNs: number;
  /** cpu.max: periods in which the cgroup was runnable, and those in which its quota ran out. */
  periods: number;
  throttledPeriods: number;
  eventsDropped: number;
  maxWaitNs: number;
  /** HIST_BUCKETS counts; bounds in observe/histogram.ts. */
  hist: Uint32Array;
}

/** What cpu.max did to one slot's cgroup; part of SlotStats. */
export type Throttling = Pick<SlotStats, 'throttledNs' | 'periods' | 'throttledPeriods'>;

export interface MissEvent {
  atNs: number;
  cgroupId: bigint;
  slot: number;
  waitNs: number;
  budgetNs: number;
  ranNs: number;
  pid: number;
  cpu: number;
  reason: MissReason;
  comm: string;
}

export interface CgroupEvent {
  change: 'created' | 'removed';
  id: bigint;
  /** From the hierarchy's root, starting with `/`. */
  path: string;
  /** The kernel had to cut the path: walk the tree instead. */
  truncated: boolean;
}

/** Counters of the whole node (struct slo_health). */
export interface KernelHealth {
  eventsDropped: number;
  cgroupEventsDropped: number;
  fairFallbacks: number;
  preemptKicks: number;
  floorPicks: number;
  stalls: number;
  /** Writes to cpu.weight, cpu.max and cpu.idle that the kernel told of; see SlotMap.limitChanges. */
  limitChanges: number;
  expiredDemotions: number;
  throttles: number;
  rescues: number;
}

/** Why the scheduler stopped (struct slo_exit); `kind` 0 while it runs. */
export interface ExitInfo {
  kind: number;
  exitCode: bigint;
  reason: string;
  message: string;
  /** The kernel's debug dump with what our scheduler added to it; only errors have one. */
  dump: string;
}

/** An attach that the kernel refused or ended; `exit`: its record, where there is one. */
export interface AttachFailure extends Failure {
  exit?: ExitInfo;
}

export interface SlotMap {
  readonly capacity: number;
  /** Zeroes the slot's stats, then publishes the policy, then the index entry. */
  assign(slot: number, policy: SlotPolicy): Failure | undefined;
  /** Rewrites the policy of a slot that stays with its cgroup. */
  update(slot: number, policy: SlotPolicy): void;
  /** Takes the index entry out, then the policy. The slot must rest for a second before it is assigned again. */
  release(slot: number, cgroupId: bigint): Failure | undefined;
  /** Tells the kernel to look its cached slots up again; call once after a batch of changes. */
  publish(): void;
  stats(slot: number): SlotStats;
  /** A part of the stats, much cheaper to read. */
  throttling(slot: number): Throttling;
  /** Changes whenever bursts, waits, CPU time or stalls in the stats do. */
  activity(slot: number): number;
  /** What everything outside the pods weighs (cpu.weight); slot 0, which is no cgroup and is never assigned. */
  weighSystem(weight: number): void;
  /** What it may use with a deadline; the kernel side's own minimum holds besides (bpf: system_reserved). */
  reserveSystem(reservedCpus: number, creditCapNs: number): void;
  /** How often the kernel told of a write to the slot's cpu.weight, cpu.max or cpu.idle. */
  limitChanges(slot: number): number;
  /** What the kernel's index holds now, by cgroup id (tests, leak checks, restart). */
  index(): Map<bigint, number>;
}

/** A loaded program set: the observer (tracing) or the scheduler (struct_ops). */
export interface KernelSession {
  readonly kind: 'observer' | 'scheduler';
  readonly slots: SlotMap;
  /** Each write to the cpu.weight, cpu.max or cpu.idle of a slot's cgroup moves SlotMap.limitChanges. */
  readonly tellsLimits: boolean;
  health(): KernelHealth;
  /** Scheduler only: kind 0 while running. */
  exit(): ExitInfo;
  /** True while the programs are attached (scheduler: sysfs state `enabled` and root/ops ours). */
  running(): boolean;
  /** Tells the kernel side that the agent lives; at least every 2 s. */
  beat(): void;
  /** Detaches and frees; safe to call twice. */
  close(): void;
}

export interface KernelEvents {
  onMiss(event: MissEvent): void;
  onCgroup(event: CgroupEvent): void;
}

/** Answer of the preflight check; reasons are stable identifiers, see kernel/preflight.ts. */
export interface Preflight {
  canObserve: boolean;
  canEnforce: boolean;
  /** Empty when enforce is possible. First entry is the one that is reported. */
  reasons: { code: PreflightCode; message: string; hint: string }[];
  kernel: string;
}

export type PreflightCode =
  | 'NoSchedExt'
  | 'NoBtf'
  | 'NoCgroupV2'
  | 'MalformedBtf'
  | 'OtherScheduler'
  | 'IsolatedCpus'
  | 'AttachHang'
  | 'NoCapability'
  | 'LoadFailed';
