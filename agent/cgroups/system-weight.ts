/**
 * What the node outside the pods weighs against them. Its tasks share one slot, but in the kernel's hierarchy they
 * are several groups beside the pods' root (system.slice, user.slice, ...), each with a weight of its own.
 */
import type { Cgroup } from './cgroup-tree.ts';

/** cpu.weight's own bounds. */
const DEFAULT_WEIGHT = 100;
const MAX_WEIGHT = 10_000;

/** What one child of the hierarchy's root says of itself. */
export interface TopLevel {
  weight: number;
  idle: boolean;
  /** It, or a cgroup below it, holds a task. */
  isPopulated: boolean;
}

/**
 * @param children those of the hierarchy's root that have no slot of their own.
 * @param read their control files.
 * @returns 100 .. 10000: groups that hold nothing or are idle do not count; kernel threads and tasks in the root
 *   itself weigh at least as much as one group.
 */
export const systemWeight = (children: Iterable<Cgroup>, read: (path: string) => TopLevel): number => {
  let sum = 0;
  for (const { path } of children) {
    const { weight, idle, isPopulated } = read(path);
    if (isPopulated && !idle) sum += weight;
  }
  return Math.min(MAX_WEIGHT, Math.max(DEFAULT_WEIGHT, sum));
};
