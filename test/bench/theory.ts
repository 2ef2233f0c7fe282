/**
 * What queueing theory says about one worker with Poisson arrivals and a fixed service time (M/D/1), to show
 * that the instrument is right before anything is compared with it.
 *
 * Law of the wait: G. J. Franx, "A simple solution for the M/D/c waiting time distribution", Operations
 * Research Letters 29 (2001), for c = 1. All its terms are positive, so nothing cancels.
 */
import type { Arrival } from './arrivals.ts';

/** Poisson probabilities P(A = 0 .. terms - 1) for the mean `load`. */
const poissonLaw = (load: number, terms: number): number[] => {
  const law = [Math.exp(-load)];
  for (let k = 1; k < terms; k += 1) law.push(((law[k - 1] ?? 0) * load) / k);
  return law;
};

/** P(A >= k) for k = 0 .. terms - 1, summed from the small end so that the tail keeps its digits. */
const poissonTails = (load: number, terms: number): number[] => {
  const tails = poissonLaw(load, terms + 40);
  for (let k = tails.length - 2; k >= 0; k -= 1) tails[k] = (tails[k] ?? 0) + (tails[k + 1] ?? 0);
  return tails.slice(0, terms);
};

/**
 * P(number in system = 0 .. terms - 1) of M/D/1, by the balance of crossings between n and n + 1: the way down
 * is one departure that no arrival joined, the way up any departure that enough arrivals joined.
 */
export const numberInSystemLaw = (load: number, terms: number): number[] => {
  const tails = poissonTails(load, terms + 2);
  const none = Math.exp(-load);
  const law = [1 - load];
  for (let n = 0; n + 1 < terms; n += 1) {
    let up = (law[0] ?? 0) * (tails[n + 1] ?? 0);
    for (let i = 1; i <= n; i += 1) up += (law[i] ?? 0) * (tails[n + 2 - i] ?? 0);
    law.push(up / none);
  }
  return law;
};

/** P(wait before service <= x service times) of M/D/1 at `load` = rate * service time, 0 < load < 1. */
export const waitLaw = (load: number): ((serviceTimes: number) => number) => {
  const queued: number[] = [];
  const cumulative = (upTo: number): number => {
    if (upTo >= queued.length) {
      const inSystem = numberInSystemLaw(load, 2 * upTo + 32);
      queued.length = 0;
      // An empty queue is 0 or 1 in the system.
      let sum = inSystem[0] ?? 0;
      for (const probability of inSystem.slice(1)) {
        sum += probability;
        queued.push(sum);
      }
    }
    return queued[upTo] ?? 1;
  };
  return (serviceTimes) => {
    if (serviceTimes < 0) return 0;
    const steps = Math.floor(serviceTimes) + 1;
    const remaining = load * (steps - serviceTimes);
    let sum = 0;
    let term = Math.exp(-remaining);
    for (let j = 0; j < steps; j += 1) {
      sum += cumulative(steps - j - 1) * term;
      term *= remaining / (j + 1);
    }
    return Math.min(1, sum);
  };
};

export interface QueueModel {
  /** Requests a second of one worker. */
  ratePerSecond: number;
  /** CPU time of one request, which is its service time on an idle CPU. */
  serviceMs: number;
}

/** Response time (wait and service) in ms at or below which `share` of the requests lie, in the long run. */
export const responseQuantileMs = ({ ratePerSecond, serviceMs }: QueueModel, share: number): number => {
  const load = (ratePerSecond * serviceMs) / 1000;
  if (!(load > 0 && load < 1)) return Number.POSITIVE_INFINITY;
  const law = waitLaw(load);
  if (law(0) >= share) return serviceMs;
  let high = 1;
  while (law(high) < share) high *= 2;
  let low = 0;
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (law(middle) < share) low = middle;
    else high = middle;
  }
  return (1 + high) * serviceMs;
};

/** The same for one given schedule: what these very arrivals would see (Lindley's recursion), in their order. */
export const replayMs = (arrivals: readonly Arrival[], serviceMs: number): number[] => {
  const freeAtMs = new Map<number, number>();
  return arrivals.map(({ atMs, worker }) => {
    const doneMs = Math.max(atMs, freeAtMs.get(worker) ?? 0) + serviceMs;
    freeAtMs.set(worker, doneMs);
    return doneMs - atMs;
  });
};

export interface TheoryCheck {
  load: number;
  p50Ms: number;
  p99Ms: number;
  /** measured / theory. */
  p50Ratio: number;
  p99Ratio: number;
  ok: boolean;
}

/** Both quantiles of a run of the service alone must lie within `tolerance` of the law. */
export const checkAgainstTheory = (
  measured: { p50Ms: number; p99Ms: number },
  model: QueueModel,
  tolerance = 0.2,
): TheoryCheck => {
  const p50Ms = responseQuantileMs(model, 0.5);
  const p99Ms = responseQuantileMs(model, 0.99);
  const p50Ratio = measured.p50Ms / p50Ms;
  const p99Ratio = measured.p99Ms / p99Ms;
  const within = (ratio: number): boolean => Math.abs(ratio - 1) <= tolerance;
  return {
    load: (model.ratePerSecond * model.serviceMs) / 1000,
    p50Ms,
    p99Ms,
    p50Ratio,
    p99Ratio,
    ok: within(p50Ratio) && within(p99Ratio),
  };
};
