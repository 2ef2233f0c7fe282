import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_SHED } from './loop.ts';
import { waterFill } from './water-fill.ts';

describe('waterFill', () => {
  it('empties the least important first, and goes on above where they are not enough', () => {
    const ranks = [
      { importance: 10, demandCpus: 2 },
      { importance: 50, demandCpus: 4 },
      { importance: 90, demandCpus: 4 },
    ];
    expect(waterFill(ranks, 0.1)).toEqual([0.5, 0, 0]);
    const [low, middle, high] = waterFill(ranks, 0.39);
    expect([low, high]).toEqual([MAX_SHED, 0]);
    expect(middle).toBeCloseTo(0.5, 9);
    expect(waterFill(ranks, 1)).toEqual([MAX_SHED, MAX_SHED, MAX_SHED]);
    expect(waterFill([], 0.5)).toEqual([]);
  });

  it('takes the whole share wherever that is possible', () => {
    const ranks = fc.array(
      fc.record({
        importance: fc.integer({ min: 1, max: 100 }),
        demandCpus: fc.double({ min: 0.01, max: 64, noNaN: true }),
      }),
      { minLength: 1 },
    );
    void fc.assert(
      fc.property(ranks, fc.double({ min: 0, max: MAX_SHED, noNaN: true }), (all, share) => {
        const levels = waterFill(all, share);
        const total = all.reduce((sum, { demandCpus }) => sum + demandCpus, 0);
        const taken = all.reduce((sum, { demandCpus }, index) => sum + (levels[index] ?? 0) * demandCpus, 0);
        expect(taken).toBeCloseTo(share * total, 6);
      }),
    );
  });
});
