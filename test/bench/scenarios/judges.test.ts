import { describe, expect, test } from 'vitest';
import { figures, latency, progress, verdicts, waits, window } from '../fake-figures.ts';
import { OWN_POLICIES } from '../scenario.ts';
import { aboveRequest } from './above-request.ts';
import { batchWait } from './batch-wait.ts';
import { SCENARIOS } from './index.ts';
import { insideShare } from './inside-share.ts';
import { lightLoad } from './light-load.ts';
import { limits } from './limits.ts';
import { lyingHog } from './lying-hog.ts';
import { manySmall } from './many-small.ts';
import { noisyNeighbour } from './noisy-neighbour.ts';
import { overhead, scale, scaleCost } from './overhead.ts';
import { overload } from './overload.ts';
import { packing } from './packing.ts';
import { weights } from './weights.ts';

describe('every scenario', () => {
  test('has a name of its own, and cases and pods of theirs', () => {
    expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
    for (const { cases } of SCENARIOS) {
      expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
      for (const { pods } of cases) expect(new Set(pods.map(({ name }) => name)).size).toBe(pods.length);
    }
  });

  test('has a title that fits its picture', () => {
    for (const { name, title } of SCENARIOS) expect(title.length, name).toBeLessThanOrEqual(125);
  });

  test('fits the node: no more is requested than there is', () => {
    for (const { name, cases } of SCENARIOS) {
      for (const { pods } of cases) {
        const requested = pods
          .flatMap((pod) => pod.containers)
          .reduce((sum, { request = 0 }) => sum + request, 0);
        expect(requested, name).toBeLessThanOrEqual(1);
      }
    }
  });

  test('uses the virtual clock with one CPU only, and at least three or in wall time five runs', () => {
    for (const { name, machine, runs, policies } of SCENARIOS) {
      if (machine.clock === 'virtual') expect(machine.cpus, name).toBe(1);
      if (name !== 'scale') expect(runs, name).toBeGreaterThanOrEqual(machine.clock === 'virtual' ? 3 : 5);
      for (const policy of policies) expect(OWN_POLICIES).toContain(policy);
    }
  });

  test('judges nothing where nothing was measured', () => {
    for (const { name, judge } of SCENARIOS) {
      for (const target of judge({ cpus: 1, windows: [] }))
        expect(target.ok, `${name}: ${target.name}`).toBeUndefined();
    }
  });
});

const service = (p99Ms: number, change: Parameters<typeof latency>[0] = {}) => ({
  cpus: 0.4,
  latency: latency({ p99Ms, ...change }),
  waits: waits(0),
});

test('noisy-neighbour: keeps up, near alone, few misses, batch keeps what is left', () => {
  const alone = window('alone', 'saturated', { api: service(7) });
  const ours = (p99Ms: number, misses: number, batchCpuShare: number, sustained: boolean) =>
    noisyNeighbour.judge(
      figures(
        alone,
        window(
          'scx-slo',
          'saturated',
          { api: { ...service(p99Ms, { sustained }), waits: waits(misses) } },
          { batchCpuShare },
        ),
      ),
    );
  expect(verdicts(ours(8, 1, 0.96, true))).toEqual(['met', 'met', 'met', 'met']);
  expect(verdicts(ours(8.1, 2, 0.94, false))).toEqual(['missed', 'missed', 'missed', 'missed']);
});

test('ratios are of the same run, and the median counts', () => {
  const runs = [
    { alone: 7, ours: 7 },
    { alone: 9, ours: 20 },
    { alone: 8, ours: 8.8 },
  ].flatMap(({ alone, ours }, run) => [
    window('alone', 'saturated', { api: service(alone) }, { run }),
    window('scx-slo', 'saturated', { api: service(ours) }, { run, batchCpuShare: 1 }),
  ]);
  const ratio = noisyNeighbour.judge(figures(...runs))[1];
  expect(ratio).toMatchObject({ ok: true, detail: '1.10 (1.00 .. 2.22) x' });
});

test('inside-share: of what eevdf adds over alone nearly all is gone', () => {
  const judged = (ours: number) =>
    verdicts(
      insideShare.judge(
        figures(
          window('alone', 'saturated', { api: service(8) }),
          window('eevdf', 'saturated', { api: service(108) }),
          window('scx-slo', 'saturated', { api: service(ours) }),
        ),
      ),
    );
  expect(judged(12.9)).toEqual(['met', 'met']);
  expect(judged(13.1)).toEqual(['met', 'missed']);
});

test('above-request: batch pods keep their requests and equal shares', () => {
  const judged = (a: number, b: number, c: number) =>
    verdicts(
      aboveRequest.judge(
        figures(
          window('alone', 'saturated', { api: service(8) }),
          window('scx-slo', 'saturated', {
            api: service(12),
            'batch-a': { cpus: a },
            'batch-b': { cpus: b },
            'batch-c': { cpus: c },
          }),
        ),
      ),
    );
  expect(judged(0.13, 0.131, 0.132)).toEqual(['met', 'met', 'met', 'met', 'met', 'met']);
  expect(judged(0.09, 0.15, 0.15)).toEqual(['met', 'met', 'missed', 'met', 'met', 'missed']);
});

test('many-small: the worst pod counts, over all runs together', () => {
  const pods = (worst: number) =>
    Object.fromEntries(
      manySmall.cases[0]?.pods
        .filter(({ budgetMs }) => budgetMs !== undefined)
        .map(({ name }, index) => [name, { cpus: 0.015, waits: waits(index === 3 ? worst : 0, 400) }]) ?? [],
    );
  const judged = (...misses: number[]) =>
    verdicts(
      manySmall.judge(
        figures(
          ...misses.map((worst, run) =>
            window('scx-slo', 'saturated', pods(worst), { run, batchCpuShare: 1 }),
          ),
        ),
      ),
    )[0];
  expect(judged(6, 0, 0)).toBe('met');
  expect(judged(6, 1, 0)).toBe('missed');
});

test('lying-hog: the honest service keeps its budget, batch its floor', () => {
  const judged = (misses: number, batch: number) =>
    verdicts(
      lyingHog.judge(
        figures(
          window('scx-slo', 'saturated', {
            api: { ...service(8), waits: waits(misses) },
            'batch-a': { cpus: batch / 3 },
            'batch-b': { cpus: batch / 3 },
            'batch-c': { cpus: batch / 3 },
          }),
        ),
      ),
    );
  expect(judged(5, 0.097)).toEqual(['met', 'met', 'met']);
  expect(judged(6, 0.09)).toEqual(['met', 'missed', 'missed']);
});

test('weights: shares of pods, and of containers within one', () => {
  const judged = (heavy: number, two: number) =>
    verdicts(
      weights.judge(
        figures(
          window('scx-slo', 'pods', { heavy: { cpus: heavy }, light: { cpus: 1 - heavy } }),
          window(
            'scx-slo',
            'containers',
            { heavy: { cpus: 3 / 7 }, light: { cpus: 1 / 7 }, nested: { cpus: 3 / 7 } },
            { containers: { 'nested/two': two, 'nested/one': 3 / 7 - two } },
          ),
        ),
      ),
    );
  expect(judged(0.75, 2 / 7)).toEqual(Array(7).fill('met'));
  expect(judged(0.6, 0.2)).toEqual(['met', 'missed', 'missed', 'met', 'met', 'met', 'missed']);
});

test('limits: usage by quota, and a neighbour that does not notice', () => {
  const judged = (used: number) =>
    verdicts(
      limits.judge(
        figures(
          window('scx-slo', 'one thread', { limited: { cpus: used }, api: service(8) }),
          window('scx-slo', 'eight threads', { limited: { cpus: used }, api: service(8) }),
          window('scx-slo', 'latency pod', { greedy: { cpus: used }, api: service(8) }, { batchCpuShare: 1 }),
        ),
      ),
    );
  expect(judged(0.51)).toEqual(Array(7).fill('met'));
  expect(judged(0.6)).toEqual(['missed', 'met', 'missed', 'met', 'missed', 'met', 'met']);
});

test('overload: the most important keeps its budget, the rest degrade in order', () => {
  const judged = (served50: number, served20: number) =>
    verdicts(
      overload.judge(
        figures(
          window('scx-slo', 'overload', {
            'importance-90': { cpus: 0.5, latency: latency({ servedPerSecond: 200 }), waits: waits(10) },
            'importance-50': { cpus: 0.3, latency: latency({ servedPerSecond: served50 }) },
            'importance-20': { cpus: 0.1, latency: latency({ servedPerSecond: served20 }) },
            'batch-a': { cpus: 0.04 },
            'batch-b': { cpus: 0.03 },
            'batch-c': { cpus: 0.03 },
          }),
        ),
      ),
    );
  expect(judged(100, 20)).toEqual(['met', 'met', 'met']);
  expect(judged(20, 100)).toEqual(['met', 'missed', 'met']);
});

test('batch-wait: the longest wait of any run, and a scheduler that stays', () => {
  const [few = '', many = ''] = batchWait.cases.map(({ name }) => name);
  const judged = (maxGapMs: number, failure?: string) =>
    verdicts(
      batchWait.judge(
        figures(
          window('scx-slo', few, { batch: { cpus: 0.1, progress: progress({ maxGapMs }) } }),
          window('scx-slo', many, {}, failure === undefined ? {} : { failure }),
        ),
      ),
    );
  expect(judged(999)).toEqual(['met', 'met']);
  expect(judged(1001, 'sched_ext left')).toEqual(['missed', 'missed']);
});

test('packing: the highest step up to which all steps held', () => {
  const steps = (policy: string, held: number) =>
    packing.cases
      .slice(0, held + 1)
      .map(({ name }, index) => window(policy, name, { api: service(index < held ? 10 : 25) }));
  const [target] = packing.judge(figures(...steps('eevdf-requests', 4), ...steps('scx-slo', 10)));
  expect(target).toMatchObject({ ok: true });
  expect(target?.detail).toContain('55 % of the node against 25 %');
  expect(target?.detail).toContain('55 % of the nodes saved');
  const [short] = packing.judge(figures(...steps('eevdf-requests', 4), ...steps('scx-slo', 5)));
  expect(short?.ok).toBe(false);
});

test('light-load: latency and throughput beside eevdf', () => {
  const [calm = '', pipes = '', messages = ''] = lightLoad.cases.map(({ name }) => name);
  const policy = (name: string, p99Ms: number, rate: number) => [
    window(name, calm, { api: service(p99Ms) }),
    window(name, pipes, { pipes: { cpus: 1, progress: progress({ perSecond: rate }) } }),
    window(name, messages, { messages: { cpus: 1, progress: progress({ perSecond: rate }) } }),
  ];
  const judged = (p99Ms: number, rate: number) =>
    verdicts(lightLoad.judge(figures(...policy('eevdf', 8, 1000), ...policy('scx-slo', p99Ms, rate))));
  expect(judged(8.4, 950)).toEqual(['met', 'met', 'met']);
  expect(judged(8.5, 940)).toEqual(['missed', 'missed', 'missed']);
});

const programs = (nsPerWakeUp: number) => ({
  programs: { nsPerWakeUp, wakeUpsPerSecond: 10_000, overheadPct: 1, byName: {} },
});

test('overhead: instructions, of which one takes 2 ns', () => {
  const judged = (ns: number) =>
    verdicts(
      overhead.judge(figures(...overhead.cases.map(({ name }) => window('scx-slo', name, {}, programs(ns))))),
    );
  expect(judged(2000)).toEqual(['met', 'met', 'met']);
  expect(judged(2002)).toEqual(['missed', 'missed', 'missed']);
});

test('scale-cost: growth from few pods to many', () => {
  const [ten = '', thousand = ''] = scaleCost.cases.map(({ name }) => name);
  const judged = (ns: number) =>
    verdicts(
      scaleCost.judge(
        figures(window('scx-slo', ten, {}, programs(1000)), window('scx-slo', thousand, {}, programs(ns))),
      ),
    );
  expect(judged(1100)).toEqual(['met']);
  expect(judged(1101)).toEqual(['missed']);
});

test('scale: every pod has its slot', () => {
  const name = scale.cases[0]?.name ?? '';
  const judged = (have: number) =>
    verdicts(scale.judge(figures(window('scx-slo', name, {}, { slots: { have, want: 1000 } }))));
  expect(judged(1000)).toEqual(['met', 'met']);
  expect(judged(999)).toEqual(['met', 'missed']);
});
