import { describe, expect, it } from 'vitest';
import { HIST_BUCKETS } from './histogram.ts';
import { RollingWaits } from './rolling-waits.ts';

const NONE = new Uint32Array(HIST_BUCKETS);
const ONE = new Uint32Array(HIST_BUCKETS).fill(1, 10, 11);
const COUNTS = { waitMs: 1, bursts: 1, misses: 0, throttleMisses: 0 };

describe('waits of the last second', () => {
  it('are none before anything was added', () => {
    expect(new RollingWaits(5, 200).isEmpty(0)).toBe(true);
  });

  it('are none exactly when their sum is nothing', () => {
    const waits = new RollingWaits(5, 200);
    waits.add(ONE, NONE, COUNTS, 1_050);
    for (let nowMs = 1_050; nowMs < 3_000; nowMs += 50)
      expect(waits.isEmpty(nowMs)).toBe(waits.sum(nowMs).bursts === 0);
    expect(waits.isEmpty(1_999)).toBe(false);
    expect(waits.isEmpty(2_000)).toBe(true);
    waits.add(ONE, NONE, COUNTS, 9_000);
    expect(waits.isEmpty(9_000)).toBe(false);
  });
});
