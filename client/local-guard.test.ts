import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LocalGuard } from './local-guard.ts';
import { Waits } from './waits.ts';

const guard = () => new LocalGuard({ eventLoopDelayMs: 10, utilization: 0.95, queueMs: 20 }, 0.95);
const late = { elapsedMs: 100, eventLoopDelayMs: 50, utilization: 1, queueMs: undefined };
const calm = { elapsedMs: 100, eventLoopDelayMs: 1, utilization: 0.5, queueMs: 0 };
const times = (count: number, act: () => void): void => {
  for (let n = 0; n < count; n += 1) act();
};

describe('the local guard', () => {
  it('rises while a busy event loop is late, and falls when it is not', () => {
    const local = guard();
    const shares: number[] = [];
    times(20, () => {
      local.sample(late);
      shares.push(local.shed);
    });
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(local.shed).toBeGreaterThan(0.8);
    times(100, () => local.sample(calm));
    expect(local.shed).toBe(0);
  });

  it('does not mind one long turn, nor a loop that is late because it was asleep', () => {
    const local = guard();
    times(3, () => local.sample(calm));
    local.sample({ ...late, eventLoopDelayMs: 800 });
    expect(local.shed).toBe(0);
    local.sample(calm);
    times(50, () => local.sample({ ...late, utilization: 0.3 }));
    expect(local.shed).toBe(0);
  });

  it('follows the queue that the app tells of, and holds between 0.6 and 1 of the target', () => {
    const local = guard();
    times(10, () => local.sample({ ...calm, queueMs: 60 }));
    expect(local.shed).toBeGreaterThan(0.5);
    times(10, () => local.sample({ ...calm, queueMs: 16 }));
    const held = local.shed;
    expect(held).toBeGreaterThan(0);
    times(10, () => local.sample({ ...calm, queueMs: 16 }));
    expect(local.shed).toBe(held);
  });

  it('stays within 0 .. maxShed, whatever it is given', () => {
    const wild = fc.record({
      elapsedMs: fc.double(),
      eventLoopDelayMs: fc.double(),
      utilization: fc.double(),
      queueMs: fc.oneof(fc.double(), fc.constant(undefined)),
    });
    void fc.assert(
      fc.property(fc.array(wild), (samples) => {
        const local = guard();
        for (const sample of samples) {
          local.sample(sample);
          expect(local.shed >= 0 && local.shed <= 0.95).toBe(true);
        }
      }),
    );
  });
});

describe('waits', () => {
  it('have a p95 over the last second', () => {
    const waits = new Waits();
    expect(waits.p95Ms(0)).toBeUndefined();
    for (let ms = 1; ms <= 100; ms += 1) waits.add(ms, 0);
    for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY]) waits.add(bad, 0);
    expect(waits.p95Ms(1_000)).toBe(95);
    expect(waits.p95Ms(1_001)).toBeUndefined();
  });
});
