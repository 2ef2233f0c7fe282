import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { histogramText, sampleText } from './exposition.ts';
import {
  addDelta,
  bucketOf,
  countOf,
  EXPORTED_BUCKETS,
  HIST_BUCKETS,
  lowerBoundNs,
  quantileNs,
  upperBoundNs,
} from './histogram.ts';
import { METRICS } from './metric-catalog.ts';

const histOf = (waitsNs: number[]): Uint32Array => {
  const hist = new Uint32Array(HIST_BUCKETS);
  for (const waitNs of waitsNs) hist[bucketOf(waitNs)] = (hist[bucketOf(waitNs)] ?? 0) + 1;
  return hist;
};

describe('buckets', () => {
  it('are those of the kernel side', () => {
    expect(Array.from({ length: 8 }, (_, bucket) => lowerBoundNs(bucket) / 1000)).toEqual([
      0, 1, 1.5, 2, 3, 4, 6, 8,
    ]);
    expect(lowerBoundNs(39)).toBe(524_288_000);
    expect(upperBoundNs(39)).toBe(Number.POSITIVE_INFINITY);
    expect([0, 999, 1_000, 1_499, 1_500, 2_000, 3_999, 4_000].map(bucketOf)).toEqual([
      0, 0, 1, 1, 2, 3, 4, 5,
    ]);
  });

  it('meet without gaps and hold what belongs to them', () => {
    for (let bucket = 0; bucket < HIST_BUCKETS - 1; bucket += 1) {
      expect(upperBoundNs(bucket)).toBe(lowerBoundNs(bucket + 1));
    }
    void fc.assert(
      fc.property(fc.integer({ min: 0, max: 2e9 }), (waitNs) => {
        const bucket = bucketOf(waitNs);
        expect(waitNs).toBeGreaterThanOrEqual(lowerBoundNs(bucket));
        expect(waitNs).toBeLessThan(upperBoundNs(bucket));
      }),
    );
  });
});

describe('quantileNs', () => {
  it('is within a bucket of the true quantile, and monotonic in q', () => {
    const waits = fc.array(fc.integer({ min: 0, max: 4e8 }), { minLength: 1, maxLength: 200 });
    void fc.assert(
      fc.property(waits, fc.double({ min: 0.01, max: 1, noNaN: true }), (waitsNs, q) => {
        const hist = histOf(waitsNs);
        const sorted = [...waitsNs].sort((a, b) => a - b);
        const exactNs = sorted[Math.ceil(q * sorted.length) - 1] ?? 0;
        const estimateNs = quantileNs(hist, q);
        expect(estimateNs).toBeGreaterThanOrEqual(lowerBoundNs(bucketOf(exactNs)));
        expect(estimateNs).toBeLessThanOrEqual(upperBoundNs(bucketOf(exactNs)));
        expect(quantileNs(hist, q / 2)).toBeLessThanOrEqual(estimateNs);
      }),
    );
  });

  it('answers for nothing and for the open end', () => {
    expect(quantileNs(new Uint32Array(HIST_BUCKETS), 0.99)).toBe(0);
    expect(quantileNs(histOf([5e9]), 0.5)).toBe(lowerBoundNs(39));
  });
});

it('takes differences across the wrap of a 32-bit counter', () => {
  const before = new Uint32Array(HIST_BUCKETS).fill(0xffff_fff0);
  const now = new Uint32Array(HIST_BUCKETS).fill(0x10);
  const into = new Float64Array(HIST_BUCKETS);
  addDelta(into, now, before);
  expect([...new Set(into)]).toEqual([0x20]);
});

describe('exposition', () => {
  it('shows bounds that split no bucket, cumulative, with sum and count', () => {
    const hist = histOf([500, 10_000, 20_000, 3e6, 9e9]);
    const lines = histogramText(METRICS.schedDelay, ['shop', 'cart', ''], hist, 9.003e9)
      .trimEnd()
      .split('\n');
    expect(lines).toHaveLength(EXPORTED_BUCKETS.length + 3);
    expect(lines[0]).toBe(
      'scx_slo_sched_delay_seconds_bucket{namespace="shop",pod="cart",container="",le="0.000016"} 2',
    );
    expect(lines[1]).toMatch(/le="0.000064"\} 3$/);
    expect(lines.at(-3)).toMatch(/le="\+Inf"\} 5$/);
    expect(lines.at(-2)).toBe(
      'scx_slo_sched_delay_seconds_sum{namespace="shop",pod="cart",container=""} 9.003',
    );
    expect(lines.at(-1)).toMatch(/_count\{.*\} 5$/);
    expect(countOf(hist)).toBe(5);
  });

  it('escapes what would break the format', () => {
    expect(sampleText(METRICS.budget, ['a"b', 'c\\d', 'e\nf'], 0.05)).toBe(
      'scx_slo_budget_seconds{namespace="a\\"b",pod="c\\\\d",container="e\\nf"} 0.05\n',
    );
    expect(sampleText(METRICS.unresolvedPods, [], Number.NaN)).toBe('scx_slo_unresolved_pods NaN\n');
  });
});
