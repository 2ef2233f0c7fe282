/**
 * Who may claim how many CPUs in the deadline tier: measured demand with headroom, granted first up to the pods'
 * CPU requests, then by importance, in all at most a fixed part of the node. Pure.
 */

export interface DemandSample {
  /** The cgroup that owns the credit. */
  cgroupId: bigint;
  importance: number;
  /** CPU request of the pod; 0 without one. */
  requestCpus: number;
  /** cpu.max; undefined without one. */
  quotaCpus: number | undefined;
  /** Since the last step: own CPU time, runnable time without throttling, misses because credit was used up. */
  ranNs: number;
  waitNs: number;
  overMisses: number;
}

export interface NodeShare {
  cpus: number;
  /** What pods without an SLO can use of their CPU requests now; the deadline tier never takes that. */
  othersCpus: number;
}

export interface Reservation {
  /** Owner of credit -> CPUs that it would like, smoothed. */
  claims: ReadonlyMap<bigint, number>;
  /** Owner of credit -> CPUs that it gets. */
  granted: ReadonlyMap<bigint, number>;
  /** Granted / claimed over all, 0 .. 1; 1 where nothing is claimed. */
  ratio: number;
}

export const NO_RESERVATION: Reservation = { claims: new Map(), granted: new Map(), ratio: 1 };

/** The rest is for the kernel, daemons and the floor of the fair tier (architecture, claims on CPU). */
export const MAX_SHARE = 0.78;

/** Bursts are what saved credit is for; more headroom only keeps CPU from the less important. */
const HEADROOM = 1.25;
/** Enough for a first request of a service that did nothing yet. */
const MIN_CLAIM_CPUS = 0.05;
/** Of a pod that was never measured, or was idle: it must not miss while its demand is being learnt. */
const FIRST_CLAIM_CPUS = 1;
/** What was measured says little while the pod could not run: assume that it wants twice as much. */
const STARVED_GROWTH = 2;
const SHRINK_TAU_MS = 3_000;

const isStarved = (sample: DemandSample): boolean =>
  sample.overMisses > 0 || (sample.waitNs > sample.ranNs / 2 && sample.waitNs > 0);

const claimOf = (sample: DemandSample, before: number | undefined, cpus: number, dtMs: number): number =>
  Math.min(
    before === undefined ? FIRST_CLAIM_CPUS : measuredClaim(sample, before, dtMs),
    sample.quotaCpus ?? cpus,
    cpus * MAX_SHARE,
  );

/** What a pod gets from the moment its slot exists until the next step. */
export const firstGrantCpus = ({ granted }: Reservation, cpus: number): number =>
  Math.min(FIRST_CLAIM_CPUS, Math.max(0, cpus * MAX_SHARE - sum(granted.values())));

const measuredClaim = (sample: DemandSample, before: number, dtMs: number): number => {
  const ranCpus = sample.ranNs / (dtMs * 1e6);
  const grown = isStarved(sample)
    ? Math.min(before, ranCpus * HEADROOM + MIN_CLAIM_CPUS) * STARVED_GROWTH
    : 0;
  const target = Math.max(ranCpus * HEADROOM + MIN_CLAIM_CPUS, grown);
  return target >= before ? target : before + (target - before) * (1 - Math.exp(-dtMs / SHRINK_TAU_MS));
};

interface Share {
  cgroupId: bigint;
  wantCpus: number;
}

/** Gives each its want, or all the same fraction of it where there is too little. @returns what is left. */
const hand = (granted: Map<bigint, number>, shares: readonly Share[], availableCpus: number): number => {
  const wanted = shares.reduce((sum, share) => sum + share.wantCpus, 0);
  if (wanted <= 0 || availableCpus <= 0) return availableCpus;
  const fraction = Math.min(1, availableCpus / wanted);
  for (const { cgroupId, wantCpus } of shares) {
    granted.set(cgroupId, (granted.get(cgroupId) ?? 0) + wantCpus * fraction);
  }
  return Math.max(0, availableCpus - wanted);
};

/** @param dtMs time since the last step; 0 or less changes nothing. */
export const stepReservation = (
  before: Reservation,
  samples: readonly DemandSample[],
  node: NodeShare,
  dtMs: number,
): Reservation => {
  if (!(dtMs > 0) || !(node.cpus > 0)) return before;
  const claims = new Map(
    samples.map((sample) => [
      sample.cgroupId,
      claimOf(sample, before.claims.get(sample.cgroupId), node.cpus, dtMs),
    ]),
  );
  const claimOfSample = (sample: DemandSample): number => claims.get(sample.cgroupId) ?? 0;
  const granted = new Map<bigint, number>();
  const withinRequest = samples.map((sample) => ({
    cgroupId: sample.cgroupId,
    wantCpus: Math.min(claimOfSample(sample), sample.requestCpus),
  }));
  const afterRequests = hand(granted, withinRequest, node.cpus * MAX_SHARE);

  // Beyond the requests: what the others cannot use of theirs, the most important first.
  let left = Math.min(afterRequests, Math.max(0, node.cpus - node.othersCpus - sum(granted.values())));
  const byImportance = [...Map.groupBy(samples, (sample) => sample.importance)]
    .sort(([a], [b]) => b - a)
    .map(([, equals]) => equals);
  for (const equals of byImportance) {
    const shares = equals.map((sample) => ({
      cgroupId: sample.cgroupId,
      wantCpus: Math.max(0, claimOfSample(sample) - sample.requestCpus),
    }));
    left = hand(granted, shares, left);
  }
  const claimed = sum(claims.values());
  const ratio = claimed > 0 ? Math.min(1, sum(granted.values()) / claimed) : 1;

  // A head start while nobody else claims it: after an idle second the first requests would outrun the claim.
  for (const equals of byImportance) {
    const shares = equals.map((sample) => {
      const most = Math.min(Math.max(sample.requestCpus, FIRST_CLAIM_CPUS), sample.quotaCpus ?? node.cpus);
      return {
        cgroupId: sample.cgroupId,
        wantCpus: Math.max(0, most - (granted.get(sample.cgroupId) ?? 0)),
      };
    });
    left = hand(granted, shares, left);
  }
  return { claims, granted, ratio };
};

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};
