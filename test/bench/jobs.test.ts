import { expect, test } from 'vitest';
import { type Choice, guestSeconds, jobsOf, orderOf, policiesOf } from './jobs.ts';
import { aboveRequest } from './scenarios/above-request.ts';
import { noisyNeighbour } from './scenarios/noisy-neighbour.ts';

const peers = { scx_one: { program: 'build/vm/bench/peers/scx_one', args: [] } };
const choice: Choice = { policies: undefined, runs: undefined, peers, edfObjects: 'build/vm/bench/edf' };

test('peers run where the scenario takes them, edf where it is built', () => {
  expect(policiesOf(noisyNeighbour, choice)).toEqual([
    'alone',
    'eevdf',
    'eevdf-requests',
    'edf',
    'scx-slo',
    'scx_one',
  ]);
  expect(policiesOf(aboveRequest, choice)).not.toContain('scx_one');
  expect(policiesOf(noisyNeighbour, { ...choice, edfObjects: undefined })).not.toContain('edf');
});

test('a choice of policies keeps the order of the table', () => {
  expect(policiesOf(noisyNeighbour, { ...choice, policies: ['scx-slo', 'alone', 'unknown'] })).toEqual([
    'alone',
    'scx-slo',
  ]);
});

test('the order turns from run to run, and alone is measured once more at the end', () => {
  const policies = ['alone', 'eevdf', 'scx-slo'];
  expect(orderOf(policies, 0)).toEqual(['alone', 'eevdf', 'scx-slo', 'alone-again']);
  expect(orderOf(policies, 1)).toEqual(['eevdf', 'scx-slo', 'alone', 'alone-again']);
  expect(orderOf(policies, 3)).toEqual(orderOf(policies, 0));
  expect(orderOf(['eevdf', 'scx-slo'], 1)).toEqual(['scx-slo', 'eevdf']);
});

test('runs differ in their seeds, and a run has the same ones whatever the policies', () => {
  const jobs = jobsOf(noisyNeighbour, choice);
  expect(jobs).toHaveLength(noisyNeighbour.runs);
  expect(new Set(jobs.map((job) => JSON.stringify(job.seeds))).size).toBe(jobs.length);
  const [first] = jobsOf(noisyNeighbour, { ...choice, policies: ['scx-slo'], runs: 1 });
  expect(first?.seeds).toEqual(jobs[0]?.seeds);
  expect(first?.peers).toEqual({});
});

test('nothing chosen is nothing to run', () => {
  expect(jobsOf(noisyNeighbour, { ...choice, policies: ['unknown'] })).toEqual([]);
});

test('the length of a boot counts every window with its warm-up', () => {
  const [job] = jobsOf(noisyNeighbour, { ...choice, policies: ['eevdf', 'scx-slo'], runs: 1 });
  if (job === undefined) throw new Error('no job');
  expect(guestSeconds(noisyNeighbour, job)).toBeGreaterThanOrEqual(
    2 * (noisyNeighbour.warmUpSeconds + noisyNeighbour.windowSeconds),
  );
});
