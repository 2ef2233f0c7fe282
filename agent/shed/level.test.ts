import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_SHED, step } from './level.ts';
import { NodeLoad, parseCpuTicks } from './node-load.ts';
import type { PodSample, ShedInput, ShedState } from './severity.ts';

const TICK_MS = 200;

/** A pod whose p95 wait is `severity` times what its budget of 50 ms allows. */
const pod = (
  key: string,
  importance: number,
  severity: number,
  more: Partial<PodSample> = {},
): PodSample => ({
  key,
  importance,
  sheddable: true,
  slots: [{ budgetMs: 50, p95WaitMs: severity * 25, waits: 200, waitMs: 0, bursts: 200, misses: 0 }],
  ...more,
});

const run = (
  ms: number,
  input: Partial<ShedInput> & Pick<ShedInput, 'pods'>,
  from: ShedState = new Map(),
): ShedState => {
  let state = from;
  for (let atMs = 0; atMs < ms; atMs += TICK_MS)
    state = step(state, { nodeBusy: 1, ageMs: 0, ...input }, TICK_MS);
  return state;
};

const level = (state: ShedState, key: string): number => state.get(key)?.level ?? Number.NaN;

describe('step', () => {
  it('sheds within two seconds of a heavy overload, and not for a short burst', () => {
    expect(level(run(200, { pods: [pod('a', 50, 8)] }), 'a')).toBe(0);
    expect(level(run(2_000, { pods: [pod('a', 50, 8)] }), 'a')).toBeGreaterThan(0.9);
  });

  it('needs a busy node: a slow application alone sheds nothing', () => {
    expect(level(run(5_000, { pods: [pod('a', 50, 8)], nodeBusy: 0.7 }), 'a')).toBe(0);
    expect(level(run(5_000, { pods: [pod('a', 50, 8)], nodeBusy: 0.9 }), 'a')).toBe(0);
  });

  it('begins with the least important of those in trouble, and goes on to the next', () => {
    const pods = [pod('vip', 90, 3), pod('extra', 20, 3), pod('calm', 10, 0.1)];
    expect(level(run(2_000, { pods }), 'extra')).toBe(0);
    const early = run(3_400, { pods });
    expect(level(early, 'extra')).toBeGreaterThan(0.4);
    expect(level(early, 'vip')).toBe(0);
    expect(level(early, 'calm')).toBe(0);
    expect(early.get('vip')?.reason).toBe('severity 3.00, waits for importance 20 to shed first');
    expect(level(run(8_000, { pods }), 'vip')).toBeGreaterThan(0.5);
  });

  it('lets a short trouble of the important pass while less important pods are at work', () => {
    const pods = [pod('vip', 90, 8), pod('extra', 20, 8)];
    const short = run(1_200, { pods });
    expect(level(short, 'vip')).toBe(0);
    expect(level(short, 'extra')).toBeGreaterThan(0.5);
  });

  it('does not let a less important pod go while a more important one is in trouble', () => {
    const shedding = run(2_000, { pods: [pod('vip', 90, 3), pod('extra', 20, 3)] });
    const after = run(3_000, { pods: [pod('vip', 90, 3), pod('extra', 20, 0)] }, shedding);
    expect(level(after, 'extra')).toBe(level(shedding, 'extra'));
    expect(after.get('extra')?.reason).toBe('holds: importance 90 is in trouble');
  });

  it('creeps between the thresholds instead of swinging', () => {
    const shedding = run(1_000, { pods: [pod('a', 50, 8)] });
    const held = run(1_000, { pods: [pod('a', 50, 0.8)] }, shedding);
    expect(level(held, 'a')).toBeLessThan(level(shedding, 'a'));
    expect(level(held, 'a')).toBeGreaterThan(level(shedding, 'a') - 0.06);
  });

  it('judges by misses too, and not by one among few', () => {
    const slots = [{ budgetMs: 50, p95WaitMs: 0, waits: 200, waitMs: 0, bursts: 100, misses: 20 }];
    expect(level(run(2_000, { pods: [pod('a', 50, 0, { slots })] }), 'a')).toBeGreaterThan(0.5);
    const one = [{ budgetMs: 50, p95WaitMs: 90, waits: 4, waitMs: 150, bursts: 4, misses: 1 }];
    expect(level(run(2_000, { pods: [pod('a', 50, 0, { slots: one })] }), 'a')).toBe(0);
  });

  it('judges one worker that is always waiting by its few long waits', () => {
    const slots = [{ budgetMs: 50, p95WaitMs: 120, waits: 8, waitMs: 700, bursts: 2, misses: 2 }];
    expect(level(run(2_000, { pods: [pod('a', 50, 0, { slots })] }), 'a')).toBeGreaterThan(0.5);
  });

  it('holds for a while without fresh numbers, then lets go', () => {
    const shedding = run(2_000, { pods: [pod('a', 50, 8)] });
    const pods = [pod('a', 50, 8)];
    const held = step(shedding, { pods, nodeBusy: 1, ageMs: 1_500 }, TICK_MS);
    expect(held.get('a')).toMatchObject({ state: 'degraded', level: level(shedding, 'a') });
    expect(step(held, { pods, nodeBusy: 1, ageMs: 4_000 }, 2_000).get('a')).toMatchObject({ state: 'stale' });
    expect(level(step(held, { pods, nodeBusy: 1, ageMs: 11_000 }, 200), 'a')).toBe(0);
  });

  it('asks nothing of pods that may not shed', () => {
    expect(level(run(5_000, { pods: [pod('a', 50, 8, { sheddable: false })] }), 'a')).toBe(0);
  });

  it('forgets pods that are gone', () => {
    expect(run(TICK_MS, { pods: [] }, run(1_000, { pods: [pod('a', 50, 8)] })).size).toBe(0);
  });

  const anything = fc.double({ min: -1e12, max: 1e12 });
  const slot = fc.record({
    budgetMs: anything,
    p95WaitMs: anything,
    waitMs: anything,
    waits: anything,
    bursts: anything,
    misses: anything,
  });
  const history = fc.array(
    fc.record({
      pods: fc.uniqueArray(
        fc.record({
          key: fc.constantFrom('a', 'b', 'c'),
          importance: fc.integer({ min: 1, max: 100 }),
          sheddable: fc.boolean(),
          slots: fc.array(slot, { maxLength: 3 }),
        }),
        { selector: (sample) => sample.key },
      ),
      nodeBusy: fc.oneof(fc.double({ min: 0, max: 1 }), fc.constantFrom(1, Number.NaN)),
      ageMs: fc.constantFrom(0, 0, 0, 400, 1_000, 5_000, 60_000),
      dtMs: fc.constantFrom(0, 200, 200, 1_000, 60_000),
    }),
    { maxLength: 40 },
  );

  it('stays between 0 and 0.95 and is back at 0 within ten quiet seconds, whatever came before', () => {
    void fc.assert(
      fc.property(history, (inputs) => {
        let state: ShedState = new Map();
        for (const { dtMs, ...input } of inputs) {
          state = step(state, input, dtMs);
          for (const { level: value } of state.values()) {
            expect(value).toBeGreaterThanOrEqual(0);
            expect(value).toBeLessThanOrEqual(MAX_SHED);
          }
        }
        const quiet = run(
          10_000,
          { pods: ['a', 'b', 'c'].map((key) => pod(key, 50, 0.1)), nodeBusy: 0.5 },
          state,
        );
        expect([...quiet.values()].map(({ level: value }) => value)).toEqual([0, 0, 0]);
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
