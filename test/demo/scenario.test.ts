import { expect, test } from 'vitest';
import { poissonArrivals } from '../bench/arrivals.ts';
import { summarise } from '../bench/percentiles.ts';
import { replayMs, responseQuantileMs } from '../bench/theory.ts';
import { CHECKOUT, PHASE_SECONDS, RECOMMENDATIONS, SEED } from './scenario.ts';

const { nominalMs: serviceMs, ratePerSecondPerCpu: ratePerSecond } = CHECKOUT;

test("the demo's schedule is an ordinary one: replayed, it is within 1 % of the law", () => {
  const arrivals = poissonArrivals({ seed: SEED, ratePerSecond, seconds: PHASE_SECONDS, workers: 1 });
  const replayed = summarise(replayMs(arrivals, serviceMs));
  expect(Math.abs(replayed.p50Ms / responseQuantileMs({ ratePerSecond, serviceMs }, 0.5) - 1)).toBeLessThan(
    0.01,
  );
  expect(Math.abs(replayed.p99Ms / responseQuantileMs({ ratePerSecond, serviceMs }, 0.99) - 1)).toBeLessThan(
    0.01,
  );
  expect(Math.abs(arrivals.length / (ratePerSecond * PHASE_SECONDS) - 1)).toBeLessThan(0.01);
});

test('checkout needs 40 % of a CPU, and with recommendations 120 to 140 %', () => {
  const load = (service: typeof CHECKOUT | typeof RECOMMENDATIONS): number =>
    (service.nominalMs * service.ratePerSecondPerCpu) / 1000;
  expect(load(CHECKOUT)).toBeCloseTo(0.4, 9);
  expect(load(CHECKOUT) + load(RECOMMENDATIONS)).toBeGreaterThanOrEqual(1.2);
  expect(load(CHECKOUT) + load(RECOMMENDATIONS)).toBeLessThanOrEqual(1.4);
});
