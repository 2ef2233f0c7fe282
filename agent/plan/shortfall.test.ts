import { expect, it } from 'vitest';
import { Shortfalls } from './shortfall.ts';

const served = (ratio: number) => ({
  name: 'pod shop/cart',
  importance: 20,
  ratio,
  demandCpus: 0.5,
  grantedCpus: 0.5 * ratio,
});

/** What is told when the ratio has one value each 200 ms. */
const story = (ratios: number[]): string[] => {
  const shortfalls = new Shortfalls();
  return ratios.flatMap((ratio, turn) =>
    shortfalls.update([served(ratio)], turn * 200).map(({ kind }) => `${kind} at ${turn}`),
  );
};

const lasting = (ratio: number): number[] => Array.from({ length: 20 }, () => ratio);

it('says once that a pod is short, and once that it is not any more', () => {
  expect(story([...lasting(1), ...lasting(0.5), ...lasting(0.6), ...lasting(1)])).toEqual([
    'short at 35',
    'recovered at 75',
  ]);
});

it('says nothing of moments, and of a ratio that only trembles', () => {
  const trembling = lasting(1).flatMap((_, turn) => (turn % 10 === 0 ? [0.9, 1] : [0.96]));
  expect(story([...lasting(0.5).slice(0, 14), ...lasting(1), ...trembling])).toEqual([]);
});

it('forgets a pod that is gone', () => {
  const shortfalls = new Shortfalls();
  shortfalls.update([served(0.5)], 0);
  shortfalls.update([], 3_000);
  expect(shortfalls.update([served(0.5)], 3_200)).toEqual([]);
  expect(shortfalls.update([served(0.5)], 6_200)).toMatchObject([{ kind: 'short' }]);
});
