import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uniformFrom } from '../test/bench/arrivals.ts';
import { Cursor, type Wish } from './cursor.ts';

/** Shares that are shed at a level, by a name of each request. */
const shedShares = (wishes: readonly (Wish & { of: string })[], level: number, turns: number) => {
  const cursor = new Cursor();
  const dice = uniformFrom(7);
  const counts = new Map<string, { all: number; shed: number }>();
  for (let turn = 0; turn < turns; turn += 1) {
    const wish = wishes[Math.floor(dice() * wishes.length)];
    if (wish === undefined) continue;
    const rank = cursor.rank(wish, dice(), 0);
    // The window fills first.
    if (turn < 1_024) continue;
    const count = counts.get(wish.of) ?? { all: 0, shed: 0 };
    counts.set(wish.of, { all: count.all + 1, shed: count.shed + (rank < level ? 1 : 0) });
  }
  return (of: string): number => (counts.get(of)?.shed ?? 0) / (counts.get(of)?.all ?? 1);
};

describe('the cursor', () => {
  const three = [
    { of: 'low', priority: 0.1 },
    { of: 'middle', priority: 0.5 },
    { of: 'high', priority: 0.9 },
  ];

  it('sheds the least important first and keeps the share that was asked for', () => {
    const share = shedShares(three, 0.5, 30_000);
    expect(share('low')).toBeGreaterThan(0.95);
    expect(share('middle')).toBeGreaterThan(0.4);
    expect(share('middle')).toBeLessThan(0.6);
    expect(share('high')).toBe(0);
    expect((share('low') + share('middle') + share('high')) / 3).toBeCloseTo(0.5, 1);
  });

  it('keeps the share without keys and with one key that is most of the traffic', () => {
    expect(shedShares([{ of: 'all' }], 0.3, 30_000)('all')).toBeCloseTo(0.3, 1);
    expect(shedShares([{ of: 'all', key: 'one user' }], 0.3, 30_000)('all')).toBeCloseTo(0.3, 1);
  });

  it('sheds some users wholly and others not at all, others in another hour', () => {
    const users = Array.from({ length: 400 }, (_, n) => ({ of: `user-${n}`, key: `user-${n}` }));
    const share = shedShares(users, 0.25, 60_000);
    const shares = users.map(({ of }) => share(of));
    const torn = shares.filter((of) => of > 0.1 && of < 0.9).length;
    expect(torn).toBeLessThan(users.length * 0.1);
    expect(shares.filter((of) => of >= 0.9).length).toBeGreaterThan(users.length * 0.15);
    expect(shares.filter((of) => of >= 0.9).length).toBeLessThan(users.length * 0.35);
    const alone = (hour: number): number => new Cursor().rank({ key: 'user-1' }, 0.5, hour * 3_600_000);
    expect(alone(1)).toBe(alone(1));
  });

  it('ranks within 0 .. 1 whatever it is given', () => {
    const cursor = new Cursor();
    const wild = fc.record({
      priority: fc.oneof(fc.double(), fc.constant(undefined)),
      key: fc.oneof(fc.string(), fc.constant(undefined)),
    });
    void fc.assert(
      fc.property(wild, fc.double({ min: 0, max: 0.999999, noNaN: true }), (wish, dice) => {
        const rank = cursor.rank(wish, dice, 0);
        expect(rank >= 0 && rank < 1).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});
