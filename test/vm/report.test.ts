import { expect, test } from 'vitest';
import { type TestOutcome, toJunit } from '../junit.ts';
import { selectKernels } from './kernels.ts';
import { readFacts, runOutcomes, vmReport } from './report.ts';

const outcome = (state: TestOutcome['state']): TestOutcome => ({
  group: 'g',
  name: 'n',
  seconds: 0,
  state,
  detail: '',
});
const junit = (...states: TestOutcome['state'][]): string => toJunit('vm', states.map(outcome));
const states = (...args: Parameters<typeof runOutcomes>): string[] =>
  runOutcomes(...args).map((one) => (one.group === 'vm' ? `${one.state}: ${one.detail}` : one.state));

test('a run that went well is what its suites say', () => {
  expect(states({ exitCode: 0 }, junit('passed', 'skipped'))).toEqual(['passed', 'skipped']);
  expect(states({ exitCode: 1 }, junit('passed', 'failed'))).toEqual(['passed', 'failed']);
});

test.each([
  [{ exitCode: undefined, failure: 'Kernel panic' }, junit('passed'), ['passed', 'failed: Kernel panic']],
  [{ exitCode: undefined, failure: 'Kernel panic' }, undefined, ['failed: Kernel panic']],
  [{ exitCode: 1 }, junit('passed'), ['passed', 'failed: vitest ended with 1']],
  [{ exitCode: 0 }, junit(), ['failed: no test passed']],
  [{ exitCode: 0 }, junit('skipped'), ['skipped', 'failed: no test passed']],
  [{ exitCode: 0 }, '<testsuites>', ['failed: no test passed']],
  [{ exitCode: 0 }, undefined, ['failed: no test passed']],
])('%j with %j is a failure', (result, xml, expected) => {
  expect(states(result, xml)).toEqual(expected);
});

test('the report counts', () => {
  const selected = selectKernels('7.3');
  const kernel = selected.ok ? selected.kernels[0] : undefined;
  if (kernel === undefined) throw new Error('7.3 is gone');
  const run = { kernel, clock: 'wall', cpus: 2 } as const;
  const result = {
    exitCode: 0,
    console: 'c',
    lastLines: [],
    seconds: 20.5,
    accel: 'tcg',
    release: '7.3.4+deb13-cloud-amd64',
  } as const;
  const outcomes = [outcome('passed'), outcome('passed'), outcome('skipped')];
  expect(vmReport(run, { result, outcomes, facts: { attachMs: 12 }, seconds: 31 })).toEqual({
    kernel: '7.3',
    release: '7.3.4+deb13-cloud-amd64',
    expectation: 'enforce',
    accel: 'tcg',
    clock: 'wall',
    cpus: 2,
    seconds: 31,
    passed: 2,
    failed: 0,
    skipped: 1,
    facts: { attachMs: 12 },
  });
});

test('half a file of facts is no facts', () => {
  expect(readFacts('{"attachMs":12}')).toEqual({ attachMs: 12 });
  for (const text of ['{"attachMs":', '[1]', 'null', undefined]) expect(readFacts(text)).toEqual({});
});
