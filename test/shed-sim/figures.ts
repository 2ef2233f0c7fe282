/** What is said of a simulated run. */
import type { Outcome } from './world.ts';

export interface Figures {
  /** Of all offered requests of the most important class: answered within the budget. */
  top: number;
  /** CPU time of requests answered within their budget / capacity. */
  goodput: number;
  /** Of all offered requests of all classes. */
  refused: number;
  /** Standard deviation of the published level, of the class where it is largest. */
  swing: number;
  classes: { name: string; good: number; refused: number; p99Ms: number; level: number }[];
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

const deviation = (values: readonly number[]): number => {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
};

/** @param fromMs levels before are the start, not the steady state. */
export const figuresOf = ({ pods, goodput, refused }: Outcome, fromMs: number): Figures => {
  const levels = pods.map((pod) => pod.levels.filter(({ atMs }) => atMs > fromMs).map(({ level }) => level));
  return {
    top: pods[0]?.good ?? Number.NaN,
    goodput,
    refused,
    swing: Math.max(...levels.map(deviation)),
    classes: pods.map(({ name, good, refused: ofClass, p99Ms }, index) => ({
      name,
      good,
      refused: ofClass,
      p99Ms,
      level: mean(levels[index] ?? []),
    })),
  };
};

/** The worst of several seeds for each figure; classes are of the first. */
export const worstOf = (runs: readonly Figures[]): Figures => ({
  top: Math.min(...runs.map(({ top }) => top)),
  goodput: Math.min(...runs.map(({ goodput }) => goodput)),
  refused: Math.max(...runs.map(({ refused }) => refused)),
  swing: Math.max(...runs.map(({ swing }) => swing)),
  classes: runs[0]?.classes ?? [],
});
