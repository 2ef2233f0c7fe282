/** Figures for tests of the judges: what a window found, with everything else as it should be. */
import type { Figures, PodFigures, WindowFigures } from './figures.ts';
import type { MeasuredRun, MeasuredWindow } from './measured.ts';

type Latency = NonNullable<PodFigures['latency']>;

export const latency = (change: Partial<Latency> = {}): Latency => ({
  requests: 2400,
  p50Ms: 2,
  p99Ms: 8,
  p999Ms: 10,
  maxMs: 12,
  sustained: true,
  offeredPerSecond: 200,
  servedPerSecond: 200,
  costMs: 2,
  nominalMs: 2,
  ...change,
});

export const waits = (misses: number, bursts = 1000): NonNullable<PodFigures['waits']> => ({
  bursts,
  misses,
  byReason: { sched: misses },
  missRatio: misses / bursts,
});

export const progress = (change: Partial<NonNullable<PodFigures['progress']>> = {}) => ({
  perSecond: 1000,
  maxGapMs: 5,
  leastPerSecond: 100,
  mostPerSecond: 100,
  ...change,
});

export const window = (
  policy: string,
  caseName: string,
  pods: Record<string, PodFigures>,
  change: Partial<WindowFigures> = {},
): WindowFigures => ({
  policy,
  case: caseName,
  run: 0,
  scheduler: 'test',
  seconds: 12,
  pods,
  containers: {},
  accountedShare: 0.99,
  otherCpus: 0.01,
  maxLateMs: 0.1,
  ...change,
});

export const figures = (...windows: WindowFigures[]): Figures => ({ cpus: 1, windows });

/** One boot of noisy-neighbour with these windows. */
export const measuredRun = (run: number, ...windows: MeasuredWindow[]): MeasuredRun => ({
  scenario: 'noisy-neighbour',
  run,
  kernel: '7.3.4',
  cpus: 1,
  llcs: 1,
  order: [],
  nsPerTurn: 14,
  windows,
});

/** `met`, `missed` or `unknown` of each target, in order. */
export const verdicts = (targets: readonly { ok: boolean | undefined }[]): string[] =>
  targets.map(({ ok }) => (ok === undefined ? 'unknown' : ok ? 'met' : 'missed'));
