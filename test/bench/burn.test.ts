import fc from 'fast-check';
import { expect, test } from 'vitest';
import { burn, turnsFor } from './burn.ts';

/** The same loop as the WebAssembly. */
const mix = (turns: number, seed: number): number => {
  let mixed = seed;
  for (let turn = turns; turn > 0; turn -= 1) {
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) ^ turn;
  }
  return mixed;
};

test('runs every turn', () => {
  fc.assert(
    fc.property(fc.nat(5000), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (turns, seed) => {
      expect(burn(turns, seed)).toBe(mix(turns, seed));
    }),
  );
});

test('finds the loop size of any linear cost', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 2, noNaN: true }),
      fc.double({ min: 1e-6, max: 1e-4, noNaN: true }),
      (httpMs, msPerTurn) => {
        const cost = (turns: number) => ({ turns, cpuMs: httpMs + turns * msPerTurn });
        const turns = turnsFor(4, cost(0), cost(100_000));
        expect(turns).toBeDefined();
        expect(Math.abs(cost(turns ?? 0).cpuMs - 4)).toBeLessThanOrEqual(msPerTurn);
      },
    ),
  );
});

test('says so when no loop size fits', () => {
  expect(turnsFor(4, { turns: 0, cpuMs: 5 }, { turns: 1000, cpuMs: 6 })).toBeUndefined();
  expect(turnsFor(4, { turns: 0, cpuMs: 1 }, { turns: 1000, cpuMs: 1 })).toBeUndefined();
  expect(turnsFor(4, { turns: 0, cpuMs: 2 }, { turns: 1000, cpuMs: 1 })).toBeUndefined();
});
