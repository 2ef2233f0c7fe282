/** Least important first: which importance refuses how much, when a share of all demand has to go. Pure. */
import { MAX_SHED } from './loop.ts';

/** All pods of one importance that may be shed. */
export interface Rank {
  importance: number;
  demandCpus: number;
}

/** So that pods of which nothing is known yet can be filled, too. */
const LEAST_DEMAND_CPUS = 1e-6;

const demandOf = ({ demandCpus }: Rank): number => Math.max(LEAST_DEMAND_CPUS, demandCpus);

/**
 * Spreads `share` of the demand of `ranks` over them in their order, at most MAX_SHED each; within one all refuse equally.
 * @param ranks by ascending importance. @param share 0 .. 1
 * @returns for each rank: the share of its own requests
 */
export const waterFill = (ranks: readonly Rank[], share: number): number[] => {
  let leftCpus = share * ranks.reduce((sum, rank) => sum + demandOf(rank), 0);
  return ranks.map((rank) => {
    const demandCpus = demandOf(rank);
    const level = Math.min(MAX_SHED, Math.max(0, leftCpus / demandCpus));
    leftCpus -= level * demandCpus;
    return level;
  });
};
