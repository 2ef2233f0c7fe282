import { describe, expect, it } from 'vitest';
import type { SlotStats } from '../kernel/port.ts';
import { HIST_BUCKETS, quantileNs } from './histogram.ts';
import { Ledger } from './ledger.ts';

const LABELS = { namespace: 'shop', pod: 'cart', container: '' };

const stats = (bursts: number, sched = 0, bucket = 20): SlotStats => {
  const hist = new Uint32Array(HIST_BUCKETS);
  hist[bucket] = bursts;
  return {
    bursts,
    misses: { sched, over: 0, shed: 0, throttle: 7, stall: 0 },
    waitNs: bursts * 1000,
    ranNs: bursts * 2000,
    throttledNs: 0,
    periods: 0,
    throttledPeriods: 0,
    eventsDropped: 0,
    maxWaitNs: 5,
    hist,
  };
};

describe('Ledger', () => {
  it('adds what is new, and says how much that was', () => {
    const ledger = new Ledger();
    const meter = ledger.open(LABELS, true, 0);
    ledger.read(meter, stats(10, 1), 200);
    expect(ledger.read(meter, stats(25, 3), 400)).toEqual({
      bursts: 15,
      misses: 2,
      overMisses: 0,
      waitNs: 15_000,
      ranNs: 30_000,
      sinceMs: 200,
    });
    expect(meter.series).toMatchObject({ bursts: 25, misses: { sched: 3, throttle: 7 }, waitNs: 25_000 });
  });

  it('goes on counting when the slot, the kernel side or the pod was made anew', () => {
    const ledger = new Ledger();
    ledger.read(ledger.open(LABELS, true, 0), stats(10, 1), 200);
    const second = ledger.open(LABELS, true, 300);
    ledger.read(second, stats(4), 400);
    ledger.read(second, stats(1), 500);
    expect([...ledger.series()]).toHaveLength(1);
    expect(second.series.bursts).toBe(15);
    expect(second.series.hist[20]).toBe(10 + 4 + 1);
  });

  it('forgets recent waits as time passes, and series long after their last read', () => {
    const ledger = new Ledger();
    const meter = ledger.open(LABELS, true, 0);
    ledger.read(meter, stats(10, 5, 30), 1_000);
    expect(meter.second?.sum(1_100)).toMatchObject({ bursts: 10, misses: 5 });
    expect(quantileNs(meter.second?.sum(1_100).hist ?? [], 0.95)).toBeGreaterThan(10e6);
    expect(meter.second?.sum(2_100)).toMatchObject({ bursts: 0, misses: 0 });
    expect(meter.tenSeconds?.sum(9_000).bursts).toBe(10);
    ledger.expire(200_000);
    expect([...ledger.series()]).toHaveLength(1);
    ledger.expire(302_000);
    expect([...ledger.series()]).toHaveLength(0);
  });
});
