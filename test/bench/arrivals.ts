/** Fixed arrival schedules: the same seed gives the same requests at the same times, in every phase and policy. */

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32): small, fast, good enough for arrival times. */
export const uniformFrom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
};

/** One request of an open-loop schedule. */
export interface Arrival {
  /** From the start of the schedule. */
  atMs: number;
  /** Which worker gets it: 0 .. workers - 1. */
  worker: number;
}

export interface PoissonSpec {
  seed: number;
  ratePerSecond: number;
  seconds: number;
  /** Each arrival goes to one of these at random, so each worker sees a Poisson stream of its own. */
  workers: number;
}

/** Poisson arrivals over [0, seconds). */
export const poissonArrivals = ({ seed, ratePerSecond, seconds, workers }: PoissonSpec): Arrival[] => {
  const uniform = uniformFrom(seed);
  const arrivals: Arrival[] = [];
  const meanGapMs = 1000 / ratePerSecond;
  let atMs = -Math.log(1 - uniform()) * meanGapMs;
  while (atMs < seconds * 1000) {
    arrivals.push({ atMs, worker: workers > 1 ? Math.floor(uniform() * workers) : 0 });
    atMs -= Math.log(1 - uniform()) * meanGapMs;
  }
  return arrivals;
};
