import { expect, test } from 'vitest';
import { type TestOutcome, toJunit } from './junit.ts';
import { summarise } from './summary.ts';

const outcome = (state: TestOutcome['state'], detail = ''): TestOutcome => ({
  group: 'a.test.ts',
  name: 'a thing',
  seconds: 1,
  state,
  detail,
});
const file = (name: string, ...outcomes: TestOutcome[]) => ({ name, xml: toJunit(name, outcomes) });

test('counts over all files come last, failures and skips are named with their reason', () => {
  const { lines, ok } = summarise([
    file('unit.xml', outcome('passed'), outcome('skipped', 'not root')),
    file('vm-7.3.xml', outcome('passed'), outcome('failed', 'Error: no\n  at x')),
  ]);
  expect(lines).toEqual([
    'skipped: [unit] a.test.ts: a thing: not root',
    'failed: [vm-7.3] a.test.ts: a thing: Error: no',
    '2 passed, 1 failed, 1 skipped',
  ]);
  expect(ok).toBe(false);
});

test('passed and skipped tests are a success', () => {
  expect(summarise([file('unit.xml', outcome('passed'), outcome('skipped'))]).ok).toBe(true);
});

test.each([
  ['no file', []],
  ['no test', [file('unit.xml')]],
  ['only skipped tests', [file('unit.xml', outcome('skipped', 'why'))]],
  ['a cut file', [file('unit.xml', outcome('passed')), { name: 'vm.xml', xml: '<testsuites><testsuite>' }]],
])('%s is no success', (_, files) => {
  expect(summarise(files).ok).toBe(false);
});
