import { expect, test } from 'vitest';
import { cpuUseOf, usageSeconds } from './accounting.ts';

const stat = (usec: number): string => `usage_usec ${usec}\nuser_usec 1\nsystem_usec 2\nnr_periods 0\n`;
const accounts = { services: { checkout: 's' }, batch: ['a', 'b'], other: ['o'] };
const before = { s: stat(1_000_000), a: stat(0), b: stat(500_000), o: stat(10) };
const after = { s: stat(5_000_000), a: stat(3_000_000), b: stat(3_000_000), o: stat(300_010) };

test('takes usage_usec of the whole line only', () => {
  expect(usageSeconds(stat(1_500_000))).toBe(1.5);
  expect(usageSeconds('core_usage_usec 5\n')).toBeUndefined();
  expect(usageSeconds(undefined)).toBeUndefined();
});

test('differences, sums, and their share of the window', () => {
  const use = cpuUseOf({ before, after, windowMs: 10_000 }, accounts, 1);
  expect(use.services).toEqual({ checkout: 4 });
  expect(use.batchSeconds).toBeCloseTo(5.5, 9);
  expect(use.otherSeconds).toBeCloseTo(0.3, 9);
  expect(use.accountedShare).toBeCloseTo(0.98, 9);
  expect(cpuUseOf({ before, after, windowMs: 10_000 }, accounts, 2).accountedShare).toBeCloseTo(0.49, 9);
});

test('a missing account is an error, not a zero', () => {
  const { a: _, ...gone } = after;
  expect(() => cpuUseOf({ before, after: gone, windowMs: 10_000 }, accounts, 1)).toThrow(
    'no CPU account in a',
  );
});
