/** Least important first: who refuses how much, when a share of all demand has to go. Pure. */
import { MAX_SHED } from './loop.ts';

export interface Filled {
  key: string;
  importance: number;
  demandCpus: number;
}

/** So that pods of which nothing is known yet can be filled, too. */
const LEAST_DEMAND_CPUS = 1e-6;

const demandOf = ({ demandCpus }: Filled): number => Math.max(LEAST_DEMAND_CPUS, demandCpus);

const total = (pods: readonly Filled[]): number => pods.reduce((sum, pod) => sum + demandOf(pod), 0);

/**
 * Spreads `share` of the demand of `pods` over them by ascending importance, at most MAX_SHED each; equals refuse
 * equally.
 * @param share 0 .. 1
 * @returns key -> share of its own requests
 */
export const waterFill = (pods: readonly Filled[], share: number): Map<string, number> => {
  const shed = new Map<string, number>();
  let leftCpus = share * total(pods);
  const importances = [...new Set(pods.map(({ importance }) => importance))].sort((a, b) => a - b);
  for (const importance of importances) {
    const equals = pods.filter((pod) => pod.importance === importance);
    const demandCpus = total(equals);
    const level = Math.min(MAX_SHED, Math.max(0, leftCpus / demandCpus));
    leftCpus -= level * demandCpus;
    for (const { key } of equals) shed.set(key, level);
  }
  return shed;
};
