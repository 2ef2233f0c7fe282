/** How much CPU pods would use if they refused nothing, and how much of it does not fit. Pure. */
import { USABLE } from './loop.ts';

/** Of one pod, smoothed alike, so that their quotient is right also while both change. */
export interface Offered {
  usedCpus: number;
  admitted: number;
}

export const NOTHING_OFFERED: Offered = { usedCpus: 0, admitted: 1 };

const TAU_MS = 1_500;
/** Refusing costs CPU as well. */
const REFUSAL_SAVES = 0.98;
const LEAST_ADMITTED = 0.05;

const finite = (value: number): number => (value > 0 && value < 1e6 ? value : 0);

/** @param shed what the pod was told to refuse since the last step, 0 .. 1. */
export const nextOffered = (
  before: Offered | undefined,
  usedCpus: number,
  shed: number,
  dtMs: number,
): Offered => {
  const now = { usedCpus: finite(usedCpus), admitted: Math.max(LEAST_ADMITTED, 1 - REFUSAL_SAVES * shed) };
  if (before === undefined) return now;
  const weight = 1 - Math.exp(-dtMs / TAU_MS);
  return {
    usedCpus: before.usedCpus + (now.usedCpus - before.usedCpus) * weight,
    admitted: before.admitted + (now.admitted - before.admitted) * weight,
  };
};

/** Thinning is unbiased: what is left of the requests tells of all of them. */
export const demandCpusOf = ({ usedCpus, admitted }: Offered): number => usedCpus / admitted;

/**
 * @param sheddableCpus demand that may be refused.
 * @param entitledCpus what the others have a right to, and use; more than that is theirs to lose, not a reason to
 *   refuse requests for.
 */
export const needCpus = (sheddableCpus: number, entitledCpus: number, cpus: number): number =>
  Math.max(0, sheddableCpus + entitledCpus - USABLE * cpus);
