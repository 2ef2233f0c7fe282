import fc from 'fast-check';
import { expect, test } from 'vitest';
import { abiOfRelease, growthOf, type ProgramCost, parseVerifierStats } from './verifier-growth.ts';

const cost = (insns: number): ProgramCost => ({ insns, states: 10, peakStates: 8, stackDepth: 64 });

test('the statistics of a program are read, whatever else the kernel prints with them', () => {
  const text = [
    'verification time 8512 usec',
    'stack depth 104+16+0',
    'processed 4242 insns (limit 1000000) max_states_per_insn 6 total_states 311 peak_states 207 mark_read 0',
    '',
  ].join('\n');
  expect(parseVerifierStats(text)).toEqual({ insns: 4242, states: 311, peakStates: 207, stackDepth: 104 });
  expect(parseVerifierStats(text.replace(' mark_read 0', ''))).toMatchObject({ peakStates: 207 });
  const since73 = [
    'verification time 7637 usec',
    'stack depth max 96',
    'subprog 0 (slo_tick) main insns_self 19 insns_total 19 stack 40',
    'processed 19 insns (limit 1000000) max_states_per_insn 0 total_states 2 peak_states 2 mark_read 0',
  ].join('\n');
  expect(parseVerifierStats(since73)).toEqual({ insns: 19, states: 2, peakStates: 2, stackDepth: 96 });
  expect(parseVerifierStats('')).toBeUndefined();
  expect(parseVerifierStats('stack depth 0')).toBeUndefined();
});

test('a program that grew by more than a fifth is named, with both figures', () => {
  expect(growthOf({ 'scheduler/a': cost(10_000) }, { 'scheduler/a': cost(12_001) })).toEqual([
    'scheduler/a: 10000 -> 12001 instructions (+20 %)',
  ]);
  expect(growthOf({ 'scheduler/a': cost(10_000) }, { 'scheduler/a': cost(12_000) })).toEqual([]);
});

test('500 instructions more are no growth, however small the program was', () => {
  expect(growthOf({ a: cost(20) }, { a: cost(520) })).toEqual([]);
  expect(growthOf({ a: cost(20) }, { a: cost(521) })).toHaveLength(1);
});

test('a program without a figure and a figure without a program are named', () => {
  expect(growthOf({}, { 'observer/new': cost(1) })).toEqual([
    'observer/new: no figure is committed (now 1 instructions)',
  ]);
  expect(growthOf({ 'observer/old': cost(1) }, {})).toEqual([
    'observer/old: a figure is committed, but the program is not loaded',
  ]);
});

test('what did not grow passes, what shrank too', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.nat()),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (sizes, factor) => {
        const of = (scale: number) =>
          Object.fromEntries(
            Object.entries(sizes).map(([name, insns]) => [name, cost(Math.floor(insns * scale))]),
          );
        expect(growthOf(of(1), of(factor))).toEqual([]);
      },
    ),
  );
});

test("a release's name leads to Debian's ABI name", () => {
  expect(abiOfRelease('7.3.4+deb13-cloud-amd64')).toBe('7.3.4+deb13');
  expect(abiOfRelease('6.12.107')).toBe('6.12.107');
});
