import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_SHED } from './loop.ts';
import { waterFill } from './water-fill.ts';

const pod = (key: string, importance: number, demandCpus: number) => ({ key, importance, demandCpus });

describe('waterFill', () => {
  it('empties the least important first, equals alike, and goes on above where they are not enough', () => {
    const pods = [pod('a', 90, 4), pod('b', 50, 3), pod('b2', 50, 1), pod('c', 10, 2)];
    expect(Object.fromEntries(waterFill(pods, 0.1))).toEqual({ c: 0.5, b: 0, b2: 0, a: 0 });
    const more = waterFill(pods, 0.39);
    expect(more.get('c')).toBe(MAX_SHED);
    expect(more.get('b')).toBeCloseTo(0.5, 9);
    expect(more.get('b2')).toBe(more.get('b'));
    expect(more.get('a')).toBe(0);
    expect([...waterFill(pods, 1).values()]).toEqual([MAX_SHED, MAX_SHED, MAX_SHED, MAX_SHED]);
    expect(waterFill([], 0.5).size).toBe(0);
  });

  it('takes the whole share wherever that is possible', () => {
    const pods = fc.uniqueArray(
      fc.record({
        key: fc.string(),
        importance: fc.integer({ min: 1, max: 100 }),
        demandCpus: fc.double({ min: 0.01, max: 64, noNaN: true }),
      }),
      { selector: ({ key }) => key, minLength: 1 },
    );
    void fc.assert(
      fc.property(pods, fc.double({ min: 0, max: MAX_SHED, noNaN: true }), (all, share) => {
        const levels = waterFill(all, share);
        const total = all.reduce((sum, { demandCpus }) => sum + demandCpus, 0);
        const taken = all.reduce((sum, { key, demandCpus }) => sum + (levels.get(key) ?? 0) * demandCpus, 0);
        expect(taken).toBeCloseTo(share * total, 6);
      }),
    );
  });
});
