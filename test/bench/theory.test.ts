import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { poissonArrivals } from './arrivals.ts';
import { quantile, summarise, tailMeanMs } from './percentiles.ts';
import { checkAgainstTheory, numberInSystemLaw, replayMs, responseQuantileMs, waitLaw } from './theory.ts';

/** Mean of a non-negative variable as the area above its law. */
const meanOf = (law: (x: number) => number, upTo: number, step = 0.002): number => {
  let area = 0;
  for (let x = 0; x < upTo; x += step) area += (1 - (law(x) + law(x + step)) / 2) * step;
  return area;
};

describe('number in system', () => {
  // Textbook values: p0 = 1 - r, p1 = (1 - r)(e^r - 1), p2 = (1 - r)(e^2r - e^r (1 + r)).
  test.each([0.1, 0.4, 0.8])('starts with the closed forms at load %f', (load) => {
    const law = numberInSystemLaw(load, 40);
    expect(law[0]).toBeCloseTo(1 - load, 12);
    expect(law[1]).toBeCloseTo((1 - load) * (Math.exp(load) - 1), 12);
    expect(law[2]).toBeCloseTo((1 - load) * (Math.exp(2 * load) - Math.exp(load) * (1 + load)), 12);
  });

  test.each([0.4, 0.9])('sums to 1 and has the mean of Pollaczek and Khinchine at load %f', (load) => {
    const law = numberInSystemLaw(load, 400);
    expect(law.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
    expect(law.reduce((sum, p, n) => sum + n * p, 0)).toBeCloseTo(load + load ** 2 / (2 * (1 - load)), 6);
  });
});

describe('wait', () => {
  test.each([0.2, 0.4, 0.6, 0.8])('has the known mean r/(2(1-r)) at load %f', (load) => {
    expect(meanOf(waitLaw(load), 80)).toBeCloseTo(load / (2 * (1 - load)), 4);
  });

  test('is zero for exactly the share of arrivals that find the worker idle', () => {
    expect(waitLaw(0.4)(0)).toBeCloseTo(0.6, 12);
    expect(waitLaw(0.4)(-0.1)).toBe(0);
  });

  test('never falls and stays within 0 .. 1', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.02, max: 0.95, noNaN: true }),
        fc.double({ min: 0, max: 60, noNaN: true }),
        fc.double({ min: 0, max: 5, noNaN: true }),
        (load, x, more) => {
          const law = waitLaw(load);
          const below = law(x);
          expect(below).toBeGreaterThanOrEqual(0);
          expect(law(x + more)).toBeGreaterThanOrEqual(below - 1e-12);
          expect(law(x + more)).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('response time', () => {
  test.each([0.4, 0.7])('agrees with a replay of a million arrivals at load %f', (load) => {
    const model = { ratePerSecond: load * 250, serviceMs: 4 };
    const seconds = 1e6 / model.ratePerSecond;
    const replayed = summarise(
      replayMs(poissonArrivals({ ...model, seconds, seed: 1, workers: 1 }), model.serviceMs),
    );
    expect(replayed.p50Ms / responseQuantileMs(model, 0.5)).toBeCloseTo(1, 2);
    expect(replayed.p99Ms / responseQuantileMs(model, 0.99)).toBeCloseTo(1, 1);
    expect(Math.abs(replayed.p99Ms / responseQuantileMs(model, 0.99) - 1)).toBeLessThan(0.02);
  });

  test('is the service time alone where the worker is nearly always idle, and unbounded at load 1', () => {
    expect(responseQuantileMs({ ratePerSecond: 1, serviceMs: 4 }, 0.5)).toBe(4);
    expect(responseQuantileMs({ ratePerSecond: 250, serviceMs: 4 }, 0.5)).toBe(Number.POSITIVE_INFINITY);
  });

  test('workers do not wait for one another in a replay', () => {
    const arrivals = [
      { atMs: 0, worker: 0 },
      { atMs: 1, worker: 1 },
      { atMs: 2, worker: 0 },
    ];
    expect(replayMs(arrivals, 10)).toEqual([10, 10, 18]);
  });
});

test('the check accepts 20 % and refuses more, on either quantile', () => {
  const model = { ratePerSecond: 100, serviceMs: 4 };
  const p50Ms = responseQuantileMs(model, 0.5);
  const p99Ms = responseQuantileMs(model, 0.99);
  expect(checkAgainstTheory({ p50Ms: p50Ms * 1.19, p99Ms: p99Ms * 0.81 }, model).ok).toBe(true);
  expect(checkAgainstTheory({ p50Ms: p50Ms * 1.21, p99Ms }, model).ok).toBe(false);
  expect(checkAgainstTheory({ p50Ms, p99Ms: p99Ms * 0.79 }, model).ok).toBe(false);
});

describe('percentiles', () => {
  test('are nearest-rank values of the data', () => {
    const thousand = Array.from({ length: 1000 }, (_, i) => i + 1);
    expect(quantile(thousand, 0.5)).toBe(500);
    expect(quantile(thousand, 0.99)).toBe(990);
    expect(quantile(thousand, 0.999)).toBe(999);
    expect(quantile(thousand, 1)).toBe(1000);
    expect(quantile([7], 0.001)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
  });

  test('the tail mean is that of the slowest ones', () => {
    expect(tailMeanMs([5, 1, 3, 2, 4, 6, 7, 8, 10, 9], 0.2)).toBe(9.5);
    expect(tailMeanMs([7], 0.05)).toBe(7);
  });

  test('do not depend on the order and lie between the extremes', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const summary = summarise(values);
        expect(summary).toEqual(summarise([...values].reverse()));
        expect(summary.maxMs).toBe(Math.max(...values));
        expect(summary.p50Ms).toBeLessThanOrEqual(summary.p99Ms);
        expect(summary.p99Ms).toBeLessThanOrEqual(summary.p999Ms);
        expect(summary.p999Ms).toBeLessThanOrEqual(summary.maxMs);
      }),
    );
  });
});
