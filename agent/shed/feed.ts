/**
 * What passes between the shed controller (in the agent) and the signal process, as plain data: levels go out,
 * reports of pods about themselves come in.
 */

/** `ok`: nothing is refused; `degraded`: judged by pressure alone; `stale`: nothing fresh to judge by, letting go. */
export type ShedStateName = 'ok' | 'shedding' | 'degraded' | 'stale';

/** What a level was decided from; for people (`GET /v1/status`, `/v1/pods`). */
export interface ShedInputs {
  /** The tightest budget of the pod's slots. */
  budgetMs: number;
  /** Run delay over the last second. */
  waitP95Ms: number;
  /** Missed / finished bursts over the last second, 0 .. 1. */
  missRatio: number;
  /** Share of the last tick in which some task of the pod waited for CPU, 0 .. 1; null: not known. */
  pressure: number | null;
  /** Periods of cpu.max that ended throttled / all, over the last tick, 0 .. 1. */
  throttled: number;
  /** From the pod's own report; null: none that is fresh. */
  queueWaitMs: number | null;
  /** 1: at the limit of what the budget allows. */
  severity: number;
  /** Busy share of the node's CPUs, 0 .. 1. */
  nodeBusy: number;
  /** CPUs that the pod would use if it refused nothing. */
  demandCpus: number;
}

/** What one caller is told. A pod that has no entry is unknown: allowed. */
export interface PodLevel {
  /** `pod/<uid>`, or `path/<cgroup path>` for a rule of the config file (callers.ts). */
  key: string;
  /** metadata.uid; empty for a path. */
  podUid: string;
  /** Normalised; empty for a path, hostNetwork, and an address that is not this pod's alone. */
  podIps: readonly string[];
  importance: number;
  /** Share of requests to refuse: 0 .. 0.95 in hundredths; 0 in a dry run. */
  shedRatio: number;
  /** What `shedRatio` would be without the dry run; equal to it otherwise. */
  computedRatio: number;
  state: ShedStateName;
  /** For people; names no other pod. */
  reason: string;
  inputs: ShedInputs;
}

/** One round of the controller: all levels of the node. */
export interface LevelRound {
  /** Of the agent's monotonic clock. */
  atMs: number;
  levels: readonly PodLevel[];
}

/** A pod about itself (`POST /v1/report`). Whoever reads it trusts none of its numbers. */
export interface OwnReport {
  podUid: string;
  /** p95 of the time between accepting a request and working on it; finite, 0 or more. */
  queueWaitMs: number;
  /** When it came in, on the agent's monotonic clock. */
  receivedAtMs: number;
}
