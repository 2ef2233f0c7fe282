/**
 * Seeds of arrival schedules. A window of seconds holds few requests, and most seeds give a schedule whose p99 is
 * far from the long run's. Runs use ordinary ones: the n-th seed whose schedule, replayed on an idle CPU, has the
 * p50 and p99 that queueing theory (M/D/1) gives for the long run. Chosen before anything runs, the same for all.
 */
import { poissonArrivals } from './arrivals.ts';
import { summarise } from './percentiles.ts';
import { replayMs, responseQuantileMs } from './theory.ts';

export interface SeedSpec {
  /** Of all workers together. */
  ratePerSecond: number;
  requestMs: number;
  workers: number;
  warmUpSeconds: number;
  windowSeconds: number;
}

const TOLERANCE = 0.03;
/** Loads near 1 have no ordinary schedules this short; then any seed will do. */
const TRIES = 2000;

const isOrdinary = (seed: number, spec: SeedSpec, law: { p50Ms: number; p99Ms: number }): boolean => {
  const { ratePerSecond, requestMs, workers, warmUpSeconds } = spec;
  const seconds = warmUpSeconds + spec.windowSeconds;
  const arrivals = poissonArrivals({ seed, ratePerSecond, seconds, workers });
  const latenciesMs = replayMs(arrivals, requestMs).filter(
    (_, index) => (arrivals[index]?.atMs ?? 0) >= warmUpSeconds * 1000,
  );
  const { p50Ms, p99Ms } = summarise(latenciesMs);
  const expected = spec.windowSeconds * ratePerSecond;
  return (
    Math.abs(latenciesMs.length / expected - 1) <= TOLERANCE &&
    Math.abs(p50Ms / law.p50Ms - 1) <= TOLERANCE &&
    Math.abs(p99Ms / law.p99Ms - 1) <= TOLERANCE
  );
};

/** The `nth` (from 0) ordinary seed counted from `first`; deterministic. */
export const ordinarySeed = (spec: SeedSpec, nth: number, first: number): number => {
  const model = { ratePerSecond: spec.ratePerSecond / spec.workers, serviceMs: spec.requestMs };
  const law = { p50Ms: responseQuantileMs(model, 0.5), p99Ms: responseQuantileMs(model, 0.99) };
  if (!Number.isFinite(law.p99Ms)) return first + nth;
  let found = -1;
  for (let seed = first; seed < first + TRIES; seed += 1) {
    if (isOrdinary(seed, spec, law)) found += 1;
    if (found === nth) return seed;
  }
  return first + nth;
};
