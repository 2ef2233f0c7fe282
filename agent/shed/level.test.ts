import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { step } from './level.ts';
import { MAX_SHED } from './loop.ts';
import { NodeLoad, parseCpuTicks } from './node-load.ts';
import type { PodSample } from './severity.ts';
import { NO_SHED, type ShedInput, type ShedState } from './shed-state.ts';

const TICK_MS = 200;
const CPUS = 4;

const slot = (severity: number) => ({
  budgetMs: 50,
  p95WaitMs: severity * 25,
  waits: 200,
  waitMs: 0,
  burstWaitMs: 0,
  bursts: 200,
  misses: 0,
  throttleMisses: 0,
});

/** A pod whose p95 wait is `severity` times what its budget of 50 ms allows, on two of the four CPUs. */
const pod = (
  key: string,
  importance: number,
  severity: number,
  more: Partial<PodSample> = {},
): PodSample => ({
  key,
  importance,
  sheddable: true,
  slots: [slot(severity)],
  usedCpus: 2,
  requestCpus: 0,
  quotaCpus: undefined,
  pressure: undefined,
  throttled: 0,
  queueWaitMs: undefined,
  queueIsNews: true,
  trustsReports: false,
  ...more,
});

interface Times extends Partial<Omit<ShedInput, 'node'>> {
  pods: PodSample[];
  busy?: number;
  entitledCpus?: number;
}

const inputOf = ({ busy = 1, entitledCpus = 0, ...more }: Times): ShedInput => ({
  node: { cpus: CPUS, busy, entitledCpus },
  kernelAgeMs: 0,
  pressureAgeMs: 0,
  dryRun: false,
  ...more,
});

const run = (ms: number, times: Times, from: ShedState = NO_SHED): ShedState => {
  let state = from;
  for (let atMs = 0; atMs < ms; atMs += TICK_MS) state = step(state, inputOf(times), TICK_MS);
  return state;
};

/** A pod whose use follows what it was told to refuse, as in a closed loop. */
const runThinned = (ms: number, times: Times, offeredCpus: number, from: ShedState = NO_SHED): ShedState => {
  let state = from;
  for (let atMs = 0; atMs < ms; atMs += TICK_MS) {
    const pods = times.pods.map((sample) => ({
      ...sample,
      usedCpus: offeredCpus * (1 - (state.pods.get(sample.key)?.level ?? 0)),
    }));
    state = step(state, inputOf({ ...times, pods }), TICK_MS);
  }
  return state;
};

const level = (state: ShedState, key: string): number => state.pods.get(key)?.level ?? Number.NaN;
const reason = (state: ShedState, key: string): string => state.pods.get(key)?.reason ?? '';

describe('step', () => {
  it('sheds at the second tick of an overload, and not at the first: that may be a burst', () => {
    const pods = [pod('a', 50, 8)];
    expect(level(run(TICK_MS, { pods }), 'a')).toBe(0);
    expect(level(run(2 * TICK_MS, { pods }), 'a')).toBeGreaterThan(0.5);
  });

  it('needs a saturated node: a slow application alone sheds nothing', () => {
    const state = run(5_000, { pods: [pod('a', 50, 8)], busy: 0.9 });
    expect(level(state, 'a')).toBe(0);
    expect(reason(state, 'a')).toBe('severity 8.00, but no saturation: node busy 90 %');
  });

  it('takes from the least important first, also where only the important one is in trouble', () => {
    const pods = [pod('vip', 90, 2), pod('middle', 50, 0.1), pod('low', 10, 0.1)];
    const state = run(400, { pods });
    expect(level(state, 'low')).toBeGreaterThan(0.9);
    expect(level(state, 'vip')).toBe(0);
    expect(reason(state, 'low')).toMatch(
      /^work of importance 90 is late \(severity 2\.00\): \d+ % of requests up to it must go/,
    );
  });

  it('lets a victim shed its equals and inferiors only', () => {
    const pods = [pod('vip', 90, 0.1), pod('low', 10, 8), pod('equal', 10, 0.1)];
    const state = run(10_000, { pods });
    expect(level(state, 'low')).toBeGreaterThan(0.1);
    expect(level(state, 'equal')).toBe(level(state, 'low'));
    expect(level(state, 'vip')).toBe(0);
  });

  it('takes from importance 100 like from any other', () => {
    expect(level(run(2_000, { pods: [pod('a', 100, 8)] }), 'a')).toBeGreaterThan(0.5);
  });

  it('lets pods that may not shed shed others, and leaves them alone', () => {
    const pods = [pod('fixed', 50, 8, { sheddable: false }), pod('low', 10, 0.1)];
    const state = run(1_000, { pods });
    expect(level(state, 'fixed')).toBe(0);
    expect(reason(state, 'fixed')).toBe('shedding is off for this pod');
    expect(level(state, 'low')).toBeGreaterThan(0.5);
  });

  it('finds the level that the model asks for: three CPUs offered twice, four to use', () => {
    const pods = [pod('a', 50, 1.05), pod('b', 50, 1.05)];
    const state = runThinned(20_000, { pods }, 3);
    const needed = 1 - (0.93 * CPUS) / 6;
    expect(level(state, 'a')).toBeGreaterThan(needed - 0.02);
    expect(level(state, 'a')).toBeLessThan(needed + 0.17);
  });

  it('does not go on refusing for a hog that nobody can shed: 0.15 more than its own load asks for', () => {
    const pods = [pod('a', 50, 8, { usedCpus: 1 })];
    const early = run(1_000, { pods });
    const late = runThinned(10_000, { pods }, 1, early);
    expect(level(early, 'a')).toBeGreaterThan(0.5);
    expect(level(late, 'a')).toBeCloseTo(0.15, 2);
  });

  it('counts work that cannot be shed by its entitlement', () => {
    const pods = [pod('a', 50, 8)];
    const late = runThinned(10_000, { pods, entitledCpus: 3 }, 2);
    const needed = (2 + 3 - 0.93 * CPUS) / 2;
    expect(level(late, 'a')).toBeGreaterThan(needed);
    expect(level(late, 'a')).toBeLessThan(needed + 0.15);
  });

  it('creeps between the thresholds instead of swinging', () => {
    const pods = [pod('a', 50, 0.8)];
    const first = runThinned(TICK_MS, { pods }, 2, run(1_000, { pods: [pod('a', 50, 8)] }));
    const later = runThinned(2_000, { pods }, 2, first);
    expect(level(later, 'a')).toBeLessThan(level(first, 'a'));
    expect(level(later, 'a')).toBeGreaterThan(level(first, 'a') - 0.05);
  });

  it('releases over seconds what it took in an instant', () => {
    const shedding = run(1_000, { pods: [pod('a', 50, 8)] });
    const calm = { pods: [pod('a', 50, 0.1)], busy: 0.5 };
    expect(level(runThinned(600, calm, 1, shedding), 'a')).toBeGreaterThan(0.3);
    expect(level(runThinned(10_000, calm, 1, shedding), 'a')).toBe(0);
  });

  it('judges by misses too, and not by one among few', () => {
    const slots = [{ ...slot(0), misses: 100 }];
    expect(level(run(2_000, { pods: [pod('a', 50, 0, { slots })] }), 'a')).toBeGreaterThan(0.1);
    const one = [{ ...slot(3.6), waits: 4, waitMs: 150, bursts: 4, misses: 1 }];
    expect(level(run(2_000, { pods: [pod('a', 50, 0, { slots: one })] }), 'a')).toBe(0);
  });

  it('judges one worker that is always waiting by its few long waits', () => {
    const slots = [{ ...slot(5), waits: 8, waitMs: 700, bursts: 2, misses: 2 }];
    expect(level(run(2_000, { pods: [pod('a', 50, 0, { slots })] }), 'a')).toBeGreaterThan(0.1);
  });

  it('judges a worker that never sleeps by what it waits between two sleeps, not by each wait', () => {
    const busy = { ...slot(0.2), waits: 40, waitMs: 400, bursts: 3 };
    const state = run(2_000, {
      pods: [pod('victim', 90, 0, { slots: [{ ...busy, burstWaitMs: 130 }] }), pod('low', 10, 0.1)],
    });
    expect(level(state, 'low')).toBeGreaterThan(0.1);
    expect(level(state, 'victim')).toBeLessThan(level(state, 'low'));
    const rested = run(2_000, {
      pods: [pod('victim', 90, 0, { slots: [{ ...busy, burstWaitMs: 10 }] }), pod('low', 10, 0.1)],
    });
    expect(level(rested, 'low')).toBe(0);
  });
});

describe('what is a pod’s own affair', () => {
  it('is its cpu.max: it sheds itself on an idle node, and nobody else', () => {
    const slots = [{ ...slot(0), throttleMisses: 100 }];
    const tight = pod('tight', 90, 0, { slots, throttled: 0.8, quotaCpus: 1, usedCpus: 1 });
    const state = run(2_000, { pods: [tight, pod('low', 10, 0.1)], busy: 0.4 });
    expect(level(state, 'tight')).toBeGreaterThan(0.5);
    expect(reason(state, 'tight')).toMatch(/^its cpu\.max holds it back: severity [\d.]+, 80 % of periods/);
    expect(level(state, 'low')).toBe(0);
  });

  it('is its queue: a report raises only its own level, and only on a saturated node', () => {
    const queued = pod('queued', 50, 0.1, { queueWaitMs: 400 });
    const pods = [queued, pod('equal', 50, 0.1), pod('low', 10, 0.1)];
    const state = run(2_000, { pods });
    expect(level(state, 'queued')).toBeGreaterThan(0.5);
    expect(reason(state, 'queued')).toBe('its own queue waits 400.00 ms: severity 16.00');
    expect([level(state, 'equal'), level(state, 'low')]).toEqual([0, 0]);
    expect(level(run(2_000, { pods, busy: 0.5 }), 'queued')).toBe(0);
  });

  it('is more in a trusted namespace: inferiors shed for it, at most 0.15 and never equals', () => {
    const queued = pod('queued', 50, 0.1, { queueWaitMs: 60_000, trustsReports: true });
    const pods = [queued, pod('equal', 50, 0.1), pod('low', 10, 0.1)];
    const state = run(10_000, { pods, entitledCpus: 4 });
    expect(level(state, 'low')).toBeCloseTo(0.15, 9);
    expect(reason(state, 'low')).toMatch(
      /^work of importance 50 is late \(severity 100\.00\), by a trusted report/,
    );
    expect(level(state, 'equal')).toBe(0);
    expect(level(run(10_000, { pods, busy: 0.9 }), 'low')).toBe(0);
  });

  it('is a set of CPUs that only it may use, full on a node with room', () => {
    const pinned = pod('pinned', 50, 4, { pressure: 0.9 });
    const state = run(2_000, { pods: [pinned, pod('low', 10, 0.1)], busy: 0.6 });
    expect(level(state, 'pinned')).toBeGreaterThan(0.1);
    expect(level(state, 'low')).toBe(0);
  });
});

describe('without fresh numbers', () => {
  const pods = [pod('a', 50, 8)];
  const shedding = run(2_000, { pods });

  it('holds, then goes by pressure alone and says so', () => {
    const held = step(shedding, inputOf({ pods, kernelAgeMs: 400 }), TICK_MS);
    expect(held.pods.get('a')).toMatchObject({ state: 'degraded', level: level(shedding, 'a') });
    const pressed = [pod('a', 50, 0, { pressure: 1 })];
    const state = run(5_000, { pods: pressed, kernelAgeMs: 5_000 });
    expect(state.pods.get('a')?.state).toBe('degraded');
    expect(level(state, 'a')).toBeGreaterThan(0.1);
    expect(reason(state, 'a')).toMatch(
      /^by pressure alone: work of its importance is late \(severity [\d.]+\)/,
    );
    const calm = runThinned(
      10_000,
      { pods: [pod('a', 50, 0, { pressure: 0.2 })], kernelAgeMs: 9_000 },
      1,
      state,
    );
    expect(level(calm, 'a')).toBe(0);
  });

  it('lets go where there is no pressure to read either', () => {
    const gone = { pods, pressureAgeMs: 60_000 };
    expect(step(shedding, inputOf({ ...gone, kernelAgeMs: 1_900 }), TICK_MS).pods.get('a')).toMatchObject({
      state: 'degraded',
      level: level(shedding, 'a'),
    });
    const half = step(shedding, inputOf({ ...gone, kernelAgeMs: 4_000 }), 2_000);
    expect(half.pods.get('a')?.state).toBe('stale');
    expect(level(half, 'a')).toBeCloseTo(level(shedding, 'a') / 2, 9);
    expect(level(step(half, inputOf({ ...gone, kernelAgeMs: 11_000 }), TICK_MS), 'a')).toBe(0);
  });

  it('begins anew when numbers come again after all was let go', () => {
    const gone = step(shedding, inputOf({ pods, kernelAgeMs: 11_000, pressureAgeMs: 11_000 }), TICK_MS);
    expect(level(step(gone, inputOf({ pods: [pod('a', 50, 0.1)], busy: 0.3 }), TICK_MS), 'a')).toBe(0);
  });
});

describe('step, whatever comes', () => {
  const anything = fc.oneof(
    fc.double({ min: -1e12, max: 1e12 }),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0),
  );
  const anySlot = fc.record({
    budgetMs: anything,
    p95WaitMs: anything,
    waitMs: anything,
    burstWaitMs: anything,
    waits: anything,
    bursts: anything,
    misses: anything,
    throttleMisses: anything,
  });
  const anyPods = fc.uniqueArray(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      importance: fc.integer({ min: 1, max: 100 }),
      sheddable: fc.boolean(),
      slots: fc.array(anySlot, { maxLength: 3 }),
      usedCpus: anything,
      requestCpus: anything,
      quotaCpus: fc.option(anything, { nil: undefined }),
      pressure: fc.option(anything, { nil: undefined }),
      throttled: anything,
      queueWaitMs: fc.option(anything, { nil: undefined }),
      queueIsNews: fc.boolean(),
      trustsReports: fc.boolean(),
    }),
    { selector: (sample) => sample.key },
  );
  const history = fc.array(
    fc.record({
      pods: anyPods,
      busy: fc.oneof(fc.double({ min: 0, max: 1 }), fc.constantFrom(1, Number.NaN)),
      entitledCpus: anything,
      kernelAgeMs: fc.constantFrom(0, 0, 0, 400, 1_000, 5_000, 60_000),
      pressureAgeMs: fc.constantFrom(0, 1_000, 5_000, 60_000),
      dryRun: fc.boolean(),
      dtMs: fc.constantFrom(0, 200, 200, 1_000, 60_000, Number.NaN, -5),
    }),
    { maxLength: 40 },
  );
  const replay = (inputs: readonly (Times & { dtMs: number })[]): ShedState => {
    let state = NO_SHED;
    for (const { dtMs, ...times } of inputs) state = step(state, inputOf(times), dtMs);
    return state;
  };

  it('stays between 0 and 0.95, sheds none that may not, and says why', () => {
    void fc.assert(
      fc.property(history, (inputs) => {
        let state = NO_SHED;
        for (const { dtMs, ...times } of inputs) {
          state = step(state, inputOf(times), dtMs);
          for (const { key, sheddable } of times.pods) {
            expect(level(state, key)).toBeGreaterThanOrEqual(0);
            expect(level(state, key)).toBeLessThanOrEqual(sheddable ? MAX_SHED : 0);
            expect(reason(state, key)).not.toBe('');
          }
        }
      }),
    );
  });

  it('is back at 0 within ten quiet seconds', () => {
    void fc.assert(
      fc.property(history, (inputs) => {
        const pods = ['a', 'b', 'c', 'd'].map((key) => pod(key, 50, 0.1, { usedCpus: 0.1 }));
        const quiet = run(10_000, { pods, busy: 0.5 }, replay(inputs));
        expect(pods.map(({ key }) => level(quiet, key))).toEqual([0, 0, 0, 0]);
      }),
    );
  });

  it('decides the same for pods at rest whether or not it can see that they are', () => {
    const calm = ['a', 'b'].map((key) => ({
      ...pod(key, 50, 0, { usedCpus: 0, queueIsNews: false }),
      slots: [],
    }));
    void fc.assert(
      fc.property(history, (inputs) => {
        let [seen, unseen] = [NO_SHED, NO_SHED];
        for (const { pods, dtMs, ...times } of inputs) {
          const others = pods.filter(({ key }) => key !== 'a' && key !== 'b');
          for (let count = 0; count < 10; count += 1) {
            seen = step(seen, inputOf({ ...times, pods: [...calm, ...others] }), dtMs);
            const copies = calm.map((sample) => ({ ...sample }));
            unseen = step(unseen, inputOf({ ...times, pods: [...copies, ...others] }), dtMs);
          }
          for (const { key } of [...calm, ...others])
            expect(level(seen, key)).toBeCloseTo(level(unseen, key), 2);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('never raises a level that no saturation confirms', () => {
    void fc.assert(
      fc.property(history, anyPods, (inputs, some) => {
        const before = replay(inputs);
        const pods = some.map((sample) => ({ ...sample, throttled: 0, pressure: 0.1 }));
        const next = step(before, inputOf({ pods, busy: 0.9 }), TICK_MS);
        const first = step(NO_SHED, inputOf({ pods, busy: 0.9 }), TICK_MS);
        for (const { key } of pods) expect(level(first, key)).toBe(0);
        const sum = (state: ShedState): number =>
          [...state.tiers.values()].reduce((total, { a }) => total + a, 0);
        expect(sum(next)).toBeLessThanOrEqual(sum(before) + 1e-9);
      }),
    );
  });

  it('asks the less important for at least as much, where nothing is a pod’s own affair', () => {
    void fc.assert(
      fc.property(history, (inputs) => {
        const state = replay(
          inputs.map(({ pods, ...more }) => ({
            ...more,
            pods: pods.map((sample) => ({
              ...sample,
              sheddable: true,
              throttled: 0,
              pressure: undefined,
              queueWaitMs: undefined,
            })),
            // Old numbers decay the levels of pods as they were, whatever their importance is by now.
            kernelAgeMs: 0,
          })),
        );
        const pods = inputs.at(-1)?.pods ?? [];
        for (const a of pods)
          for (const b of pods)
            if (a.importance < b.importance)
              expect(level(state, a.key)).toBeGreaterThanOrEqual(level(state, b.key) - 1e-9);
      }),
    );
  });

  it('does not depend on the order of the pods', () => {
    void fc.assert(
      fc.property(history, (inputs) => {
        const backwards = replay(inputs.map((input) => ({ ...input, pods: [...input.pods].reverse() })));
        const state = replay(inputs);
        for (const key of state.pods.keys()) expect(level(backwards, key)).toBeCloseTo(level(state, key), 6);
      }),
    );
  });
});

describe('node load', () => {
  const stat = (user: number, idle: number) =>
    `cpu  ${user} 0 10 ${idle} 5 0 0 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n`;

  it('reads /proc/stat', () => {
    expect(parseCpuTicks(stat(100, 200))).toEqual({ busy: 110, total: 315 });
    expect(parseCpuTicks('')).toBeUndefined();
    expect(parseCpuTicks('cpu  x\n')).toBeUndefined();
  });

  it('gives the busy share between reads, and keeps it while too few ticks have passed', () => {
    const load = new NodeLoad();
    expect(load.update(parseCpuTicks(stat(100, 100)))).toBe(0);
    expect(load.update(parseCpuTicks(stat(138, 102)))).toBe(0.95);
    expect(load.update(parseCpuTicks(stat(138, 104)))).toBe(0.95);
    expect(load.update(undefined)).toBe(0.95);
    expect(load.update(parseCpuTicks(stat(138, 142)))).toBe(0);
    expect(load.update(parseCpuTicks(stat(1, 1)))).toBe(0);
  });
});
