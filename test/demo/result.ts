/** What the demo measured (measured.json, from inside) and what it reports (result.json, architecture section 8). */
import type { LoadResult } from '../bench/open-loop.ts';
import type { CpuUse } from './accounting.ts';

export type PhaseName = 'alone' | 'default' | 'scx-slo' | 'overload';

export interface DemoPod {
  name: string;
  namespace: string;
  budgetMs?: number;
  importance?: number;
  cgroup: string;
  cgroupId: number;
}

/** A service under load: its nominal CPU time a request, and the load of each phase that calls it. */
export interface ServiceLoad {
  name: string;
  nominalMs: number;
  ratePerSecond: number;
}

export interface MeasuredPhase {
  name: PhaseName | 'alone again';
  /** `EEVDF`, or what sched_ext says runs. */
  scheduler: string;
  load: Omit<LoadResult, 'before' | 'after'>;
  cpu: CpuUse;
  services: ServiceLoad[];
  /** Of each service: reason -> bursts that missed their budget within the window. */
  misses: Record<string, Record<string, number>>;
}

export interface Measured {
  kernel: string;
  cpus: number;
  pods: DemoPod[];
  batchThreads: number;
  phases: MeasuredPhase[];
}

export interface ServiceResult {
  name: string;
  importance: number;
  requests: number;
  p99Ms: number;
  shed429: number;
  /** From the start of the phase; absent: never. */
  firstShedMs?: number;
}

export interface PhaseResult {
  name: PhaseName;
  scheduler: string;
  seconds: number;
  requests: number;
  sustained: boolean;
  /** Answers a second in the window: where the service does not keep up, the rate that it does sustain. */
  servedPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
  serviceCpuSeconds: number;
  batchCpuSeconds: number;
  otherCpuSeconds: number;
  misses: number;
  missesByReason: Record<string, number>;
  shed429: number;
  services: ServiceResult[];
}

/** A condition under which the figures count, or a target that they should meet. */
export interface Check {
  name: string;
  ok: boolean;
  detail: string;
}

export interface DemoResult {
  environment: 'vm' | 'host';
  clock: 'wall' | 'virtual';
  kernel: string;
  cpus: number;
  pods: DemoPod[];
  phases: PhaseResult[];
  /** All must hold, or the run is invalid. */
  validity: Check[];
  targets: Check[];
}
