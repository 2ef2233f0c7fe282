import { expect, test } from 'vitest';
import { programsBetween, wakeUpsOf } from './programs.ts';

test('wake-ups are the fifth number of each CPU', () => {
  const schedstat = [
    'version 17',
    'timestamp 4294900000',
    'cpu0 0 0 1000 400 700 650 5000 6000 900',
    'domain0 MC 3 1 2 3 4 5 6 7 8',
    'cpu1 0 0 900 300 50 40 1 2 3',
    '',
  ].join('\n');
  expect(wakeUpsOf(schedstat)).toBe(750);
});

test('programs that came in between count from nothing', () => {
  const before = new Map([[1, { name: 'enqueue', runs: 10, ns: 100 }]]);
  const after = new Map([
    [1, { name: 'enqueue', runs: 15, ns: 180 }],
    [2, { name: 'tick', runs: 2, ns: 30 }],
  ]);
  expect(programsBetween(before, after)).toEqual([
    { name: 'enqueue', runs: 5, ns: 80 },
    { name: 'tick', runs: 2, ns: 30 },
  ]);
});
