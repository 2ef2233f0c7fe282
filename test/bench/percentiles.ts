/** Nearest-rank percentiles: every number reported is a latency that really happened. */

/** The value at or below which `share` (0 .. 1] of `sorted` lies; NaN of an empty list. */
export const quantile = (sorted: ArrayLike<number>, share: number): number => {
  if (sorted.length === 0) return Number.NaN;
  // 0.999 * 1000 is 999.0000000000001 in binary: without the slack the rank would slip by one.
  const rank = Math.ceil(share * sorted.length - 1e-9);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] ?? Number.NaN;
};

export interface LatencySummary {
  requests: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
}

/** Summary of latencies in any order. */
export const summarise = (latenciesMs: ArrayLike<number>): LatencySummary => {
  const sorted = Float64Array.from(latenciesMs).sort();
  return {
    requests: sorted.length,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
    maxMs: quantile(sorted, 1),
  };
};

/** Mean of the slowest `share` of the latencies: the tail as one number that does not hang on one request. */
export const tailMeanMs = (latenciesMs: ArrayLike<number>, share: number): number => {
  const sorted = Float64Array.from(latenciesMs).sort();
  const tail = sorted.slice(sorted.length - Math.max(1, Math.round(share * sorted.length)));
  return tail.reduce((sum, ms) => sum + ms, 0) / tail.length;
};
