import { describe, expect, it } from 'vitest';
import { handlerFigures, snapshotOf } from './figures.ts';

const metrics = (counts: readonly number[], cpuSeconds: number): string =>
  [
    ...['0.001', '0.005', '0.01', '+Inf'].map(
      (le, index) => `scx_slo_webhook_duration_seconds_bucket{le="${le}"} ${counts[index]}`,
    ),
    `process_cpu_seconds_total ${cpuSeconds}`,
  ].join('\n');

describe('figures of the replicas', () => {
  it('are those of the time between, of all replicas together', () => {
    const before = [snapshotOf(metrics([5, 6, 6, 6], 1)), snapshotOf(metrics([0, 0, 0, 0], 2))];
    const after = [
      snapshotOf(metrics([55, 96, 106, 106], 1.1)),
      snapshotOf(metrics([50, 90, 100, 100], 2.1)),
    ];
    const figures = handlerFigures(before, after);
    expect(figures).toMatchObject({ requests: 200, within5Ms: 0.9 });
    expect(figures.p50Ms).toBeCloseTo(1);
    expect(figures.p99Ms).toBeCloseTo(9.5);
    expect(figures.cpuMsPerRequest).toBeCloseTo(1);
  });

  it('say so where the slowest are beyond every bound', () => {
    expect(handlerFigures([], [snapshotOf(metrics([0, 0, 0, 10], 1))]).p99Ms).toBe(Number.POSITIVE_INFINITY);
  });
});
