import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createShedder } from './index.ts';
import { shedInTurn, TurnAge } from './turn-age.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

const occupy = (ms: number): void => {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
};

describe('the age of a turn of the event loop', () => {
  it('grows within the turn and begins anew in the next', async () => {
    const age = new TurnAge();
    expect(age.atMs(1_000)).toBe(0);
    expect(age.atMs(1_030)).toBe(30);
    await nextTurn();
    expect(age.beforeMs).toBe(30);
    expect(age.atMs(1_050)).toBe(0);
  });

  it('goes on through microtasks: they belong to the turn', async () => {
    const age = new TurnAge();
    age.atMs(0);
    await Promise.resolve();
    expect(age.atMs(5)).toBe(5);
  });
});

describe('what is rejected of a long turn', () => {
  const shares = (beforeMs: number, budgetMs: number) =>
    [0, 25, 50, 75, 100, 150, 200].map((ageMs) => shedInTurn(ageMs, beforeMs, budgetMs));

  it('after another long one is nothing up to a quarter of the budget, and all from three quarters on', () => {
    expect(shares(60, 100)).toEqual([0, 0, 0.5, 1, 1, 1, 1]);
  });

  it('after a short one is nothing up to the whole budget: a burst is no overload', () => {
    expect(shares(10, 100)).toEqual([0, 0, 0, 0, 0, 1, 1]);
  });

  it('is nothing within 50 ms, however small the budget is', () => {
    expect(shares(0, 1)).toEqual([0, 0, 0, 1, 1, 1, 1]);
  });

  it('is a share, and never less for what comes later', () => {
    const ms = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(ms, ms, ms, fc.double({ min: 1, max: 6e4, noNaN: true }), (a, b, beforeMs, budgetMs) => {
        const [early = 0, late = 0] = [Math.min(a, b), Math.max(a, b)].map((ageMs) =>
          shedInTurn(ageMs, beforeMs, budgetMs),
        );
        expect(early).toBeGreaterThanOrEqual(0);
        expect(late).toBeGreaterThanOrEqual(early);
        expect(late).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('is refused by a shedder without a signal, on its own account, up to maxShed', async () => {
    const shedder = createShedder({
      endpoint: 'http://127.0.0.1:1',
      maxShed: 1,
      local: { budgetMs: 20 },
      report: false,
    });
    try {
      expect(shedder.shouldShed()).toBe(false);
      occupy(76);
      expect(shedder.shouldShed()).toBe(true);
      expect(shedder.metrics()).toMatchObject({ shedByLocal: 1, shedByAgent: 0 });
    } finally {
      shedder.close();
    }
  });
});
