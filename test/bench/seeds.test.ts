import { expect, test } from 'vitest';
import { poissonArrivals } from './arrivals.ts';
import { summarise } from './percentiles.ts';
import { ordinarySeed } from './seeds.ts';
import { replayMs, responseQuantileMs } from './theory.ts';

const spec = { ratePerSecond: 200, requestMs: 2, workers: 1, warmUpSeconds: 3, windowSeconds: 12 };

test('an ordinary schedule, replayed, has the p50 and p99 of the long run', () => {
  const seed = ordinarySeed(spec, 0, 1);
  const arrivals = poissonArrivals({ seed, ratePerSecond: 200, seconds: 15, workers: 1 });
  const inWindow = replayMs(arrivals, 2).filter((_, index) => (arrivals[index]?.atMs ?? 0) >= 3000);
  const { p50Ms, p99Ms } = summarise(inWindow);
  const model = { ratePerSecond: 200, serviceMs: 2 };
  expect(p50Ms / responseQuantileMs(model, 0.5)).toBeCloseTo(1, 1);
  expect(Math.abs(p99Ms / responseQuantileMs(model, 0.99) - 1)).toBeLessThanOrEqual(0.03);
});

test('each run has another one, and always the same', () => {
  const seeds = [0, 1, 2].map((nth) => ordinarySeed(spec, nth, 1));
  expect(new Set(seeds).size).toBe(3);
  expect(seeds).toEqual([0, 1, 2].map((nth) => ordinarySeed(spec, nth, 1)));
});

test('a load that no CPU can carry takes the seeds as they come', () => {
  expect(ordinarySeed({ ...spec, ratePerSecond: 600 }, 2, 10)).toBe(12);
});
