import { describe, expect, test } from 'vitest';
import type { TestOutcome } from '../junit.ts';
import { type Guest, suiteFiles, untilWhole } from './suite-run.ts';

const ended = (group: string): TestOutcome => ({ group, name: 'n', seconds: 1, state: 'passed', detail: '' });
const result = { exitCode: 0, console: 'c', lastLines: [], seconds: 1, accel: 'tcg', release: 'r' } as const;

/** Guests that end after so many suites each; the last one ends them all. */
const guests = (...ends: number[]) => {
  const booted: { files: readonly string[]; last: boolean }[] = [];
  const boot = (files: readonly string[], last: boolean): Promise<Guest> => {
    const count = ends[booted.length];
    booted.push({ files, last });
    const lost = count !== undefined && !last;
    const outcomes = files.slice(0, lost ? count : files.length).map(ended);
    return Promise.resolve({ lost, result, outcomes, facts: { [`guest${booted.length}`]: 1 }, seconds: 2 });
  };
  return { booted, boot };
};

describe('suites in guests that the emulator may lose', () => {
  test('one guest is enough when it is not lost', async () => {
    const { booted, boot } = guests();
    const run = await untilWhole(['a', 'b'], boot);
    expect(run.outcomes.map(({ group }) => group)).toEqual(['a', 'b']);
    expect(booted).toHaveLength(1);
  });

  test('what had ended counts, the rest runs in the next one, each suite once', async () => {
    const { booted, boot } = guests(1, 0, 1);
    const run = await untilWhole(['a', 'b', 'c'], boot);
    expect(run.outcomes.map(({ group }) => group)).toEqual(['a', 'b', 'c']);
    expect(booted.map(({ files }) => files)).toEqual([['a', 'b', 'c'], ['b', 'c'], ['b', 'c'], ['c']]);
    expect(run.facts).toEqual({ guest1: 1, guest2: 1, guest3: 1, guest4: 1 });
    expect(run.seconds).toBe(8);
  });

  test('a guest that is lost after its last suite has said everything', async () => {
    const { booted, boot } = guests(2);
    expect((await untilWhole(['a', 'b'], boot)).outcomes).toHaveLength(2);
    expect(booted).toHaveLength(1);
  });

  test('there is an end to it: the last guest must speak for itself', async () => {
    const { booted, boot } = guests(0, 0, 0, 0, 0, 0);
    await untilWhole(['a'], boot);
    expect(booted.map(({ last }) => last)).toEqual([false, false, false, true]);
  });
});

test('suites are found by parts of their names, and a part that fits none is an error', () => {
  expect(suiteFiles('suites', ['00-'])).toEqual(['test/vm/suites/00-machine.test.ts']);
  expect(suiteFiles('suites', [])).toContain('test/vm/suites/10-path.test.ts');
  expect(() => suiteFiles('suites', ['nothing like it'])).toThrow('nothing like it');
});
