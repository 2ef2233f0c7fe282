/** What a scenario is: pods, what they do, under which policies, on which machine, and what must hold. Data. */
import type { Figures, Target } from './figures.ts';

/** Policies that the bench knows by itself; every other name is a peer's binary. */
export const OWN_POLICIES = ['alone', 'eevdf', 'eevdf-requests', 'edf', 'scx-slo'] as const;
/** `alone`, measured once more at the end of a boot: what the instrument itself varies by. */
export const ALONE_AGAIN = 'alone-again';

/** What the threads of a container do. Shares are of each CPU, so that a scenario fits any machine. */
export type Work =
  /** One worker thread a CPU, each with its own open-loop Poisson schedule. */
  | { kind: 'service'; requestMs: number; share: number }
  | { kind: 'hog'; threadsPerCpu: number }
  /** Wake at fixed times, a period apart, and burn a little. */
  | { kind: 'wakers'; threads: number; periodUs: number; burnUs: number }
  /** Pairs of threads pass a byte through two pipes. */
  | { kind: 'pingpong'; pairs: number }
  /** Groups of senders and receivers over socket pairs. */
  | { kind: 'messaging'; groups: number; members: number };

export interface ContainerSpec {
  name: string;
  /** Share of the node's CPUs: 0.2 of two CPUs is `400m`. */
  request?: number;
  limit?: number;
  work: Work;
}

export interface PodSpec {
  name: string;
  /** With either of these, the pod has an SLO. */
  budgetMs?: number;
  importance?: number;
  containers: readonly ContainerSpec[];
}

/** Pods that run at the same time, measured in one window. */
export interface Case {
  name: string;
  pods: readonly PodSpec[];
  /** Where it needs another one than the scenario's. */
  windowSeconds?: number;
}

export interface Machine {
  cpus: number;
  clock: 'virtual' | 'wall';
  memoryMb: number;
  /** QEMU's -smp topology, such as `sockets=2,cores=8`; absent: one socket. */
  topology?: string;
}

export interface Chart {
  /** What a bar is, with its unit. */
  label: string;
  rows: readonly { name: string; values: (figures: Figures, policy: string) => number[] }[];
  /** A line across: what should be. */
  mark?: { value: number; label: string };
}

export interface Scenario {
  name: string;
  /** One line: what happens. */
  title: string;
  machine: Machine;
  policies: readonly string[];
  /** Public schedulers run it too, when there are any. */
  peers: boolean;
  cases: readonly Case[];
  /**
   * Cases are steps of rising load: a policy's remaining ones are left out after the first whose primary service
   * does not keep up or has a p99 above this.
   */
  stopAboveP99Ms?: number;
  /** The pod whose latency is the scenario's. */
  primary?: string;
  /** The node is full: the cgroups' CPU must add up to CPUs x window. */
  saturated: boolean;
  /** Count the instructions of the scheduler's own programs. */
  countPrograms?: boolean;
  runs: number;
  warmUpSeconds: number;
  windowSeconds: number;
  /** What the picture shows in place of the primary service's latency: bars, one a row and policy. */
  chart?: Chart;
  /** What scx-slo must show. Pure. */
  judge(figures: Figures): Target[];
}

export const hasSlo = (pod: PodSpec): boolean => pod.budgetMs !== undefined || pod.importance !== undefined;

export const isService = (pod: PodSpec): boolean =>
  pod.containers.some(({ work }) => work.kind === 'service');

/** `alone` is the services without neighbours. */
export const podsOf = (one: Case, policy: string): readonly PodSpec[] =>
  policy === 'alone' || policy === ALONE_AGAIN ? one.pods.filter(isService) : one.pods;

/** Latency quantiles of a short window hang on a few requests: the same ones under every policy. */
export const serviceRatePerSecond = (work: Extract<Work, { kind: 'service' }>, cpus: number): number =>
  (work.share * cpus * 1000) / work.requestMs;
