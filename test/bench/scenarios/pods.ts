/** Pods that several scenarios use. */
import type { PodSpec } from '../scenario.ts';

/** One pod of the classic noisy neighbours: four busy threads a CPU, a tenth of the node requested. */
export const batchPod = (name: string, threadsPerCpu = 4, request = 0.1): PodSpec => ({
  name,
  containers: [{ name: 'crunch', request, work: { kind: 'hog', threadsPerCpu } }],
});

export const BATCH = ['batch-a', 'batch-b', 'batch-c'] as const;
export const batchPods = (threadsPerCpu = 4): PodSpec[] => BATCH.map((name) => batchPod(name, threadsPerCpu));

export interface ServiceOptions {
  name: string;
  share: number;
  request: number;
  budgetMs: number;
  importance?: number;
  requestMs?: number;
  limit?: number;
}

/** A service with an SLO: requests of 2 ms CPU unless said otherwise. */
export const servicePod = (options: ServiceOptions): PodSpec => {
  const { name, share, request, budgetMs, importance = 90, requestMs = 2, limit } = options;
  const work = { kind: 'service' as const, requestMs, share };
  return {
    name,
    budgetMs,
    importance,
    containers: [{ name: 'app', request, ...(limit === undefined ? {} : { limit }), work }],
  };
};

export const ONE_VIRTUAL_CPU = { cpus: 1, clock: 'virtual', memoryMb: 2048 } as const;
export const TWO_WALL_CPUS = { cpus: 2, clock: 'wall', memoryMb: 2048 } as const;

/** The windows of most scenarios on the virtual clock. */
export const SHORT = { runs: 3, warmUpSeconds: 3, windowSeconds: 12 } as const;
/** In wall time, whose spread is larger. */
export const WALL = { runs: 5, warmUpSeconds: 2, windowSeconds: 8 } as const;
