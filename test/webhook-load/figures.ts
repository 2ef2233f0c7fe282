/** What the replicas say of themselves, between two moments. Pure but for the reading of metrics. */
import type { Replica } from './replica.ts';

export interface Snapshot {
  /** Admission requests by upper bound of their handler's time, seconds; cumulative, as Prometheus has them. */
  buckets: Map<number, number>;
  cpuSeconds: number;
}

const HISTOGRAM = /^scx_slo_webhook_duration_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm;

export function snapshotOf(metrics: string): Snapshot {
  const buckets = new Map<number, number>();
  for (const [, le, count] of metrics.matchAll(HISTOGRAM)) {
    buckets.set(le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), Number(count));
  }
  return { buckets, cpuSeconds: Number(/^process_cpu_seconds_total (\S+)$/m.exec(metrics)?.[1]) };
}

export const snapshots = (replicas: readonly Replica[]): Promise<Snapshot[]> =>
  Promise.all(replicas.map(async (replica) => snapshotOf(await replica.metrics())));

export interface HandlerFigures {
  requests: number;
  /** Linear inside its bucket, as Prometheus computes it. */
  p50Ms: number;
  p99Ms: number;
  /** Share of requests that took at most 5 ms: exact, because it is a bucket's bound. */
  within5Ms: number;
  cpuMsPerRequest: number;
}

/** Of all replicas together; both lists in the same order. */
export function handlerFigures(before: readonly Snapshot[], after: readonly Snapshot[]): HandlerFigures {
  const counts = new Map<number, number>();
  let cpuSeconds = 0;
  for (const [index, { buckets, cpuSeconds: end }] of after.entries()) {
    const first = before[index];
    cpuSeconds += end - (first?.cpuSeconds ?? 0);
    for (const [bound, count] of buckets) {
      counts.set(bound, (counts.get(bound) ?? 0) + count - (first?.buckets.get(bound) ?? 0));
    }
  }
  const requests = counts.get(Number.POSITIVE_INFINITY) ?? 0;
  return {
    requests,
    p50Ms: 1000 * quantileSeconds(counts, 0.5 * requests),
    p99Ms: 1000 * quantileSeconds(counts, 0.99 * requests),
    within5Ms: (counts.get(0.005) ?? 0) / requests,
    cpuMsPerRequest: (1000 * cpuSeconds) / requests,
  };
}

function quantileSeconds(counts: ReadonlyMap<number, number>, rank: number): number {
  let [lowerBound, below] = [0, 0];
  for (const [bound, count] of [...counts].sort(([a], [b]) => a - b)) {
    if (count >= rank) {
      return Number.isFinite(bound)
        ? lowerBound + ((bound - lowerBound) * (rank - below)) / (count - below)
        : bound;
    }
    [lowerBound, below] = [bound, count];
  }
  return Number.NaN;
}
