import { expect, test } from 'vitest';
import { figures, latency, measuredRun, window } from './fake-figures.ts';
import { median, pairedRatios, windowsOf } from './figures.ts';
import type { MeasuredService, MeasuredWindow } from './measured.ts';
import { figuresOf } from './measured-figures.ts';
import { noisyNeighbour } from './scenarios/noisy-neighbour.ts';
import { p99Of } from './targets.ts';

const service = (change: Partial<MeasuredService> = {}): MeasuredService => ({
  pod: 'api',
  requestMs: 2,
  ratePerSecond: 200,
  seed: 1,
  warmUpMs: 0,
  startsMs: [0, 5, 10, 15],
  latenciesMs: [2, 3, 4, 5],
  lowerBounds: 0,
  servedInWindow: 4,
  backlog: 0,
  oldestMs: 0,
  ...change,
});

const measured = (change: Partial<MeasuredWindow> = {}): MeasuredWindow => ({
  policy: 'scx-slo',
  case: 'saturated',
  scheduler: 'sched_ext scx_slo',
  windowMs: 10_000,
  maxLateMs: 0.2,
  services: [service()],
  progress: [
    {
      pod: 'batch-a',
      container: 'crunch',
      kind: 'hog',
      threads: 4,
      count: 5000,
      maxGapMs: 40,
      leastCount: 1000,
      mostCount: 1500,
    },
  ],
  podSeconds: { api: 0.008, 'batch-a': 5, 'batch-b': 2, 'batch-c': 2 },
  containerSeconds: {},
  podsSeconds: 9.008,
  otherSeconds: 0.5,
  waits: { api: { bursts: 40, misses: { sched: 1, over: 1 } } },
  ...change,
});

const only = (change: Partial<MeasuredWindow> = {}) => {
  const [found] = figuresOf(noisyNeighbour, [measuredRun(0, measured(change))]).windows;
  if (found === undefined) throw new Error('no window');
  return found;
};

test('latencies, cost and misses of a service', () => {
  const { pods } = only();
  expect(pods.api?.latency).toMatchObject({ requests: 4, p50Ms: 3, maxMs: 5, costMs: 2, sustained: true });
  expect(pods.api?.waits).toMatchObject({ bursts: 40, misses: 2, missRatio: 0.05 });
});

test('a queue that is left at the end is not sustained', () => {
  expect(only({ services: [service({ backlog: 50, oldestMs: 900 })] }).pods.api?.latency?.sustained).toBe(
    false,
  );
});

test("batch's share is of what services and the bench leave; the policy's own cost is not taken off", () => {
  const { batchCpuShare, accountedShare } = only({ policySeconds: 0.3 });
  expect(batchCpuShare).toBeCloseTo(9 / (10 - 0.008 - 0.2));
  expect(accountedShare).toBeCloseTo(0.9508);
});

test('threads: their rate, and the one that was kept waiting longest', () => {
  expect(only().pods['batch-a']?.progress).toEqual({
    perSecond: 500,
    maxGapMs: 40,
    leastPerSecond: 100,
    mostPerSecond: 150,
  });
});

test('programs: nanoseconds by wake-up and share of the CPU', () => {
  const programs = {
    programs: [
      { name: 'slo_enqueue', runs: 10, ns: 3000 },
      { name: 'slo_dispatch', runs: 10, ns: 1000 },
    ],
    wakeUps: 10,
    seconds: 1,
  };
  expect(only({ programs }).programs).toEqual({
    nsPerWakeUp: 400,
    wakeUpsPerSecond: 10,
    overheadPct: 0.0004,
    byName: { slo_enqueue: 300, slo_dispatch: 100 },
  });
});

test('a window that failed has no say', () => {
  const found = figuresOf(noisyNeighbour, [measuredRun(0, measured({ failure: 'it left' }))]);
  expect(windowsOf(found, 'scx-slo')).toEqual([]);
});

test('median of odd, even and no values', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN]);
});

test('pairs are of the same run; a run without its counterpart is left out', () => {
  const of = (policy: string, runIndex: number, p99Ms: number) =>
    window(policy, 'c', { api: { cpus: 1, latency: latency({ p99Ms }) } }, { run: runIndex });
  const found = figures(of('a', 1, 20), of('a', 0, 10), of('b', 0, 5), of('a', 2, 7));
  expect(pairedRatios(found, 'a', 'b', 'c', p99Of('api'))).toEqual([2]);
});
