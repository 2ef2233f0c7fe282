import { expect, test } from 'vitest';
import { measuredRun } from './fake-figures.ts';
import type { MeasuredWindow } from './measured.ts';
import { pictureOf } from './pictures.ts';
import { reportMarkdown, terminalText } from './report.ts';
import { resultOf } from './result.ts';
import { noisyNeighbour } from './scenarios/noisy-neighbour.ts';
import { weights } from './scenarios/weights.ts';

interface Api {
  p99Ms: number;
  backlog?: number;
}

const measured = (policy: string, { p99Ms, backlog = 0 }: Api, failure?: string): MeasuredWindow => ({
  policy,
  case: 'saturated',
  scheduler: policy === 'scx-slo' ? 'sched_ext scx_slo' : 'EEVDF',
  ...(failure === undefined ? {} : { failure }),
  windowMs: 12_000,
  maxLateMs: 0.2,
  services: [
    {
      pod: 'api',
      requestMs: 2,
      ratePerSecond: 200,
      seed: 1,
      warmUpMs: 0,
      startsMs: [],
      latenciesMs: Array.from({ length: 100 }, (_, index) => (index < 98 ? 2 : p99Ms)),
      lowerBounds: 0,
      servedInWindow: 100,
      backlog,
      oldestMs: 0,
    },
  ],
  progress: [],
  podSeconds: { api: 0.2, 'batch-a': 3.8, 'batch-b': 3.8, 'batch-c': 3.8 },
  containerSeconds: {},
  podsSeconds: 11.6,
  otherSeconds: 0.3,
  ...(policy === 'scx-slo' ? { policySeconds: 0.24 } : {}),
  waits: { api: { bursts: 1000, misses: { sched: 2 } } },
});

const runs = [0, 1, 2].map((index) =>
  measuredRun(
    index,
    measured('alone', { p99Ms: 8 }),
    measured('eevdf', { p99Ms: 900, backlog: 90 }),
    measured('scx-slo', { p99Ms: 8 + index }),
    measured('scx_peer', { p99Ms: 0 }, 'scx_peer did not attach (1): no such kfunc\nmore'),
    measured('alone-again', { p99Ms: 8 }),
  ),
);
const result = resultOf(noisyNeighbour, runs);

test('the file has one entry a run, and names clock and kernel', () => {
  expect(result).toMatchObject({
    scenario: 'noisy-neighbour',
    clock: 'virtual',
    kernel: '7.3.4',
    cpus: 1,
    runs: 3,
  });
  expect(Object.keys(result.policies)).toEqual(['alone', 'eevdf', 'scx-slo', 'scx_peer']);
  expect(result.policies['scx-slo']).toMatchObject({
    p50Ms: [2, 2, 2],
    p99Ms: [8, 9, 10],
    sustained: [true, true, true],
    missRatio: [0.002, 0.002, 0.002],
    policyCpuPct: [2, 2, 2],
  });
  expect(result.policies.eevdf).toMatchObject({ sustained: [false, false, false] });
  expect(result.policies.scx_peer).toMatchObject({ p99Ms: [] });
  expect(result.aaSpread).toBe(0);
});

test('the report says what was found, also what fell short and what did not run', () => {
  const markdown = reportMarkdown([result]);
  expect(markdown).toContain('Linux 7.3.4, 1 CPU, virtual clock, 3 runs');
  expect(markdown).toContain('| scx-slo | yes | 2 ms | 9 ms (8 ms .. 10 ms) | 1.13 (1.00 .. 1.25) |');
  expect(markdown).toContain('| eevdf | no (8/s) |');
  expect(markdown).toContain('- scx_peer, 3 of 3 runs: scx_peer did not attach (1): no such kfunc more');
  expect(markdown).toContain('| api misses at most 0.1 % | MISSED | 0.20 % |');
  expect(markdown).toContain('Targets: 3 met, 1 missed, 0 without figures.');
  expect(terminalText(result)).toContain('MISSED     api misses at most 0.1 %: 0.20 %');
});

test('a wrong instrument is said before any figure', () => {
  const late = resultOf(noisyNeighbour, [
    measuredRun(0, { ...measured('alone', { p99Ms: 8 }), maxLateMs: 30 }),
  ]);
  const section = reportMarkdown([late]).split('## noisy-neighbour')[1] ?? '';
  expect(section.indexOf('Checks of the instrument that failed')).toBeGreaterThan(0);
  expect(section.indexOf('Checks of the instrument that failed')).toBeLessThan(section.indexOf('| policy |'));
});

test('pictures: percentiles of the primary service, or bars', () => {
  expect(pictureOf(noisyNeighbour, result, runs)).toContain('class="curve"');
  const pods = (heavy: number): MeasuredWindow => ({
    ...measured('scx-slo', { p99Ms: 1 }),
    case: 'pods',
    services: [],
    podSeconds: { heavy: heavy * 12, light: (1 - heavy) * 12 },
  });
  const shares = resultOf(weights, [measuredRun(0, pods(0.75)), measuredRun(1, pods(0.8))]);
  expect(shares.chart?.rows[0]).toEqual({
    name: 'heavy / light, 3 : 1 requested',
    values: { 'scx-slo': [3, 4] },
  });
  expect(pictureOf(weights, shares, [])).toContain('class="ours"');
  expect(reportMarkdown([shares])).toContain('| heavy / light, 3 : 1 requested | 3.5 (3 .. 4) |');
});
