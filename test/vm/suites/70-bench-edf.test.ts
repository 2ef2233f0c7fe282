// The bench's own policy `edf`, which the same agent loads from another folder.
import { afterAll, afterEach, expect, test } from 'vitest';
import { AgentProcess, eventually, killAgents, schedExt } from './agent-process.ts';
import { GuestNode } from './guest-pods.ts';

const node = new GuestNode();
afterEach(async () => {
  delete process.env.SCX_SLO_BPF_DIR;
  await killAgents();
  await node.clear();
});
afterAll(() => node.close());

test('edf: attaches in place of the scheduler, runs what it gets, kicks for earlier deadlines, detaches', async () => {
  process.env.SCX_SLO_BPF_DIR = 'build/bench/edf';
  const agent = await AgentProcess.enforce('edf', node.podsDir);
  const api = node.add('api', { 'scx-slo.io/budget-ms': '5' });
  const batch = node.add('batch', undefined);
  expect((await agent.pod('api')).budgetMs).toBe(5);
  node.spin(batch, 6);
  node.run(api, 2, 'while :; do i=0; while [ $i -lt 200 ]; do i=$((i+1)); done; sleep 0.01; done');
  await eventually('a wake-up preempts', async () =>
    (await agent.metric('scx_slo_preempt_kicks_total')) > 0 ? true : undefined,
  );
  await eventually('waits of the pod are measured', async () =>
    (await agent.view()).pods.some(({ pod, wait }) => pod === 'api' && wait.p99Ms > 0) ? true : undefined,
  );
  expect(schedExt('state')).toBe('enabled');
  expect(schedExt('root/ops')).toBe('scx_slo_edf');
  expect([node.alive(api), node.alive(batch)]).toEqual([2, 6]);
  expect(await agent.stop()).toBe(0);
  expect(schedExt('state')).toBe('disabled');
});
