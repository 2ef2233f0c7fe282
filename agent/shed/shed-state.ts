/** What the shed controller remembers from step to step, and what a step gets. */
import type { Offered } from './demand.ts';
import type { ShedInputs, ShedStateName } from './feed.ts';
import type { Judged } from './judge.ts';
import type { Loop } from './loop.ts';
import type { PodSample, Severity } from './severity.ts';

export interface NodeSample {
  cpus: number;
  /** Busy share of the CPUs since the last step, 0 .. 1. */
  busy: number;
  /** CPUs of work that cannot be shed, each at most what it has a right to. */
  entitledCpus: number;
}

export interface ShedInput {
  pods: readonly PodSample[];
  node: NodeSample;
  /** Age of waits, misses and CPU times; 0 when they are of this step. */
  kernelAgeMs: number;
  /** Age of `pressure` and `usedCpus` where the kernel's counters are old. */
  pressureAgeMs: number;
  /** Nobody is told: what pods use is all that they were asked for. */
  dryRun: boolean;
}

export interface PodShed {
  /** By the kernel's counters, in this step; undefined: by something else, or not at all. */
  judged: Judged | undefined;
  severity: Severity;
  offered: Offered;
  /** Because of what is the pod's own affair. */
  own: Loop;
  /** 0 .. MAX_SHED */
  level: number;
  state: ShedStateName;
  reason: string;
  inputs: ShedInputs;
}

export interface ShedState {
  pods: ReadonlyMap<string, PodShed>;
  /** By importance: loops on what the kernel says, and on what trusted pods report. */
  tiers: ReadonlyMap<number, Loop>;
  trusted: ReadonlyMap<number, Loop>;
  busyMean: number;
  /** Steps so far: pods at rest take turns. */
  round: number;
}

/** What is shown of the node beside a pod at rest is at most so many steps old. */
export const ROUNDS_PER_DETAIL = 25;

export const NO_SHED: ShedState = {
  pods: new Map(),
  tiers: new Map(),
  trusted: new Map(),
  busyMean: 0,
  round: 0,
};
