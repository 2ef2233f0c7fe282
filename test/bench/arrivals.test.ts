import { expect, test } from 'vitest';
import { poissonArrivals } from './arrivals.ts';

const spec = { seed: 11, ratePerSecond: 100, seconds: 200, workers: 1 };

test('the same seed gives the same schedule, another seed another', () => {
  expect(poissonArrivals(spec)).toEqual(poissonArrivals(spec));
  expect(poissonArrivals({ ...spec, seed: 12 })).not.toEqual(poissonArrivals(spec));
});

test('a longer run starts with the shorter one', () => {
  const short = poissonArrivals(spec);
  expect(poissonArrivals({ ...spec, seconds: 300 }).slice(0, short.length)).toEqual(short);
});

test('gaps are exponential: mean and standard deviation are both 1 / rate', () => {
  const times = poissonArrivals(spec).map((a) => a.atMs);
  const gaps = times.map((t, i) => t - (times[i - 1] ?? 0));
  const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
  const deviation = Math.sqrt(gaps.reduce((a, g) => a + (g - mean) ** 2, 0) / gaps.length);
  expect(Math.min(...gaps)).toBeGreaterThan(0);
  expect(mean).toBeGreaterThan(9.7);
  expect(mean).toBeLessThan(10.3);
  expect(deviation / mean).toBeGreaterThan(0.95);
  expect(deviation / mean).toBeLessThan(1.05);
});

test('workers share the arrivals about evenly', () => {
  const arrivals = poissonArrivals({ ...spec, workers: 4 });
  for (const worker of [0, 1, 2, 3]) {
    const share = arrivals.filter((a) => a.worker === worker).length / arrivals.length;
    expect(share).toBeGreaterThan(0.23);
    expect(share).toBeLessThan(0.27);
  }
});
