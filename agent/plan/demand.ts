/** How much CPU a pod needs in the deadline tier, learnt from what its slots did. Pure. */

export interface DemandSample {
  /** The cgroup that owns the credit. */
  cgroupId: bigint;
  /** Empty for a path rule. */
  namespace: string;
  importance: number;
  /** CPU request of the pod; 0 without one. */
  requestCpus: number;
  /** The tightest cpu.max of it and its ancestors; undefined without one. */
  quotaCpus: number | undefined;
  /** Since the last step: own CPU time, runnable time without throttling, misses because credit was used up. */
  ranNs: number;
  waitNs: number;
  overMisses: number;
}

/** What one owner of credit needs, in CPUs; each at least the one before. */
export interface Claim {
  /** What it used in the last seconds, and in the last half second. */
  usedCpus: number;
  recentCpus: number;
  /** What it needed in the last seconds; more than it used where it could not run. */
  meanCpus: number;
  /** Without this its queue never empties: the mean and a little more. */
  demandCpus: number;
  /** With it, a queue stays short. */
  steadyCpus: number;
  /** With headroom for bursts like those of the last seconds. */
  wantCpus: number;
}

/** A queue that is served at exactly the mean rate of its arrivals grows without bound. */
const STABLE = 1.15;
/** At two thirds of its capacity a queue rarely holds more than a few requests. */
const STEADY = 1.5;
/** Bursts are what saved credit is for; more headroom only keeps CPU from the less important. */
const BURST = 1.25;
/** Enough for a first request of a service that did nothing yet. */
const BURST_CPUS = 0.05;
/** Of a pod that was never measured, or was idle: it must not miss while its demand is being learnt. */
export const FIRST_WANT_CPUS = 1;
/** What was measured says little while the pod could not run: assume that it wants twice as much. */
const STARVED_GROWTH = 2;
/** It used nearly all that it was granted, so waiting may be for want of credit; above 1 / STABLE. */
const USED_UP = 0.95;
/** Waiting / running in a queue of deadline work alone: 1.8 where the tier is as full as it may be (M/D/1). */
const LONG_WAIT = 2;
/** Half a second that differs this much from the mean is a change; arrivals at random rarely do. */
const CHANGE = 1.25;
const CHANGE_CPUS = 0.1;
const RECENT_TAU_MS = 400;
/** Long enough to tell a mean from the few requests of 200 ms. */
const MEAN_TAU_MS = 2_000;
const SHRINK_TAU_MS = 3_000;

/** Whatever a counter or a file says: a number that can be added up. */
export const sane = (value: number): number => (value > 0 ? Math.min(value, Number.MAX_SAFE_INTEGER) : 0);

/** What the pod could use at most. */
export const mostCpus = ({ quotaCpus }: Pick<DemandSample, 'quotaCpus'>, cpus: number): number =>
  Math.min(quotaCpus === undefined ? cpus : sane(quotaCpus), cpus);

const approach = (before: number, target: number, dtMs: number, tauMs: number): number =>
  before + (target - before) * (1 - Math.exp(-dtMs / tauMs));

/**
 * What it used; while it could not run for want of credit, what it may have wanted: never more than it had threads to
 * run. Waiting alone is no want of credit: deadline work queues behind other deadline work.
 */
const neededCpus = (
  sample: DemandSample,
  ranCpus: number,
  usedCpus: number,
  grantedCpus: number,
  waitedCpus: number,
): number => {
  const isStarved =
    sane(sample.overMisses) > 0 || (waitedCpus > ranCpus * LONG_WAIT && usedCpus >= grantedCpus * USED_UP);
  if (!isStarved) return ranCpus;
  return Math.min(ranCpus + waitedCpus, Math.max(ranCpus, grantedCpus, BURST_CPUS) * STARVED_GROWTH);
};

const nextMean = (
  sample: DemandSample,
  before: Claim,
  recentCpus: number,
  needed: number,
  dtMs: number,
): number => {
  if (sane(sample.overMisses) > 0 && needed > before.meanCpus) return needed;
  const isChange = recentCpus > before.meanCpus * CHANGE + CHANGE_CPUS;
  return isChange ? recentCpus : approach(before.meanCpus, needed, dtMs, MEAN_TAU_MS);
};

/**
 * @param before undefined: the pod was never measured.
 * @param grantedCpus what it had since the last step.
 * @param cpus of the node.
 * @param dtMs since the last step, more than 0.
 */
export const nextClaim = (
  sample: DemandSample,
  before: Claim | undefined,
  grantedCpus: number,
  cpus: number,
  dtMs: number,
): Claim => {
  const dtNs = dtMs * 1e6;
  const most = mostCpus(sample, cpus);
  const ranCpus = Math.min(most, sane(sample.ranNs) / dtNs);
  const waitedCpus = Math.min(cpus, sane(sample.waitNs) / dtNs);
  if (before === undefined) {
    const wantCpus = Math.max(FIRST_WANT_CPUS, ranCpus * BURST + BURST_CPUS);
    return claimOf({ usedCpus: ranCpus, recentCpus: ranCpus }, ranCpus, wantCpus, most);
  }
  const usedCpus = approach(before.usedCpus, ranCpus, dtMs, MEAN_TAU_MS);
  const recentCpus = approach(before.recentCpus, ranCpus, dtMs, RECENT_TAU_MS);
  const needed = neededCpus(sample, ranCpus, usedCpus, grantedCpus, waitedCpus);
  const burstCpus = needed * BURST + BURST_CPUS;
  const wantCpus = Math.max(burstCpus, approach(before.wantCpus, burstCpus, dtMs, SHRINK_TAU_MS));
  const meanCpus = nextMean(sample, before, recentCpus, needed, dtMs);
  return claimOf({ usedCpus, recentCpus }, meanCpus, wantCpus, most);
};

const claimOf = (
  used: Pick<Claim, 'usedCpus' | 'recentCpus'>,
  mean: number,
  want: number,
  most: number,
): Claim => {
  const meanCpus = Math.min(most, mean);
  const demandCpus = Math.min(most, meanCpus * STABLE);
  const steadyCpus = Math.min(most, meanCpus * STEADY);
  const wantCpus = Math.max(steadyCpus, Math.min(most, want));
  return { ...used, meanCpus, demandCpus, steadyCpus, wantCpus };
};
