/**
 * How many CPUs the node's own daemons (kubelet, runtime, sshd: everything outside the pods) may use with a deadline.
 * Pure. They come before the pods, as long as they are daemons and not a runaway:
 *
 *  - what they are measured to need, with headroom for bursts;
 *  - at most what their cpu.weight gives them in the kernel's own scheduler while all compete;
 *  - at most half of the node, and after half a minute of using more than a quarter of it: a quarter.
 */
import { type Claim, nextClaim, sane } from './demand.ts';

export interface SystemDemand {
  /** Since the last step. */
  ranNs: number;
  waitNs: number;
}

export interface SystemNode {
  cpus: number;
  /** Weight of everything outside the pods over the weight of all, 0 .. 1. */
  weightShare: number;
}

export interface SystemReservation {
  /** undefined: never measured. */
  claim: Claim | undefined;
  reservedCpus: number;
  /** What pods cannot have of the node. */
  demandCpus: number;
  /** CPU time that it used above the lasting bound and has not made up for. */
  excessCpuMs: number;
  /** It used more than a quarter of the node for too long. */
  isRunaway: boolean;
}

export const NO_SYSTEM_RESERVATION: SystemReservation = {
  claim: undefined,
  reservedCpus: 0,
  demandCpus: 0,
  excessCpuMs: 0,
  isRunaway: false,
};

/** What it always has; on one CPU no more than the kernel side gives it anyway (bpf/tunables.bpf.h: system_reserved). */
const LEAST_CPUS = 1 / 8;
/** Starting a pod takes kubelet and the runtime most of a small node for some seconds. */
const BURST_SHARE = 0.5;
const LASTING_SHARE = 0.25;
/** A daemon that wants everything has the larger share for this long. */
const PATIENCE_MS = 30_000;
/** A tenth of a second's worth: with more saved up, its deadlines would be late once that is spent. */
const CREDIT_WINDOW_NS = 100e6;

/** Credit that it may save up, in ns; the kernel side has a minimum of its own. */
export const systemCreditCapNs = (reservedCpus: number): number =>
  Math.round(CREDIT_WINDOW_NS * reservedCpus);

/** @param dtMs time since the last step; 0 or less changes nothing. */
export const stepSystemReservation = (
  before: SystemReservation,
  did: SystemDemand,
  { cpus, weightShare }: SystemNode,
  dtMs: number,
): SystemReservation => {
  if (!(dtMs > 0) || !(cpus > 0)) return before;
  const byWeight = cpus * Math.min(1, sane(weightShare));
  const burstCpus = Math.max(LEAST_CPUS, Math.min(byWeight, cpus * BURST_SHARE));
  const lastingCpus = Math.max(LEAST_CPUS, Math.min(byWeight, cpus * LASTING_SHARE));
  const mostExcess = (burstCpus - lastingCpus) * PATIENCE_MS;
  const ranCpus = sane(did.ranNs) / (dtMs * 1e6);
  const excess = before.excessCpuMs + (Math.min(ranCpus, burstCpus) - lastingCpus) * dtMs;
  const excessCpuMs = Math.min(mostExcess, Math.max(0, excess));
  const isRunaway = before.isRunaway ? excessCpuMs > mostExcess / 2 : excess > mostExcess;
  const mostCpus = isRunaway ? lastingCpus : burstCpus;
  const claim = nextClaim(
    {
      cgroupId: 0n,
      namespace: '',
      importance: 1,
      requestCpus: 0,
      quotaCpus: burstCpus,
      ranNs: did.ranNs,
      waitNs: did.waitNs,
      overMisses: 0,
    },
    before.claim,
    before.reservedCpus,
    cpus,
    dtMs,
  );
  return {
    claim,
    reservedCpus: Math.min(mostCpus, Math.max(LEAST_CPUS, claim.wantCpus)),
    demandCpus: Math.min(mostCpus, claim.demandCpus),
    excessCpuMs,
    isRunaway,
  };
};
