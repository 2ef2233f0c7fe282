// Forks, affinity changes and cgroups that come and go, for a minute each; and the agent killed in the middle of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AgentProcess, eventually, killAgents, schedExt } from '../suites/agent-process.ts';
import { affinityChurn, cgroupChurn } from '../suites/churn.ts';
import { fact } from '../suites/facts.ts';
import { KernelLog } from '../suites/kernel-log.ts';
import { bpfCounts } from '../suites/leaks.ts';
import { SOAK_SECONDS, SoakNode } from './soak-node.ts';

describe('a node that enforces', () => {
  const node = new SoakNode('soak-churn');
  beforeAll(() => node.enforce());
  afterEach(() => node.clear());
  afterAll(() => node.close());

  test('forks and affinity changes in a pod with an SLO and in one without', async () => {
    const pods = [
      node.add('stress-slo', {
        annotations: { 'scx-slo.io/budget-ms': '20' },
        containers: { main: { requestMilli: 400 } },
      }),
      node.add('stress', { containers: { main: { requestMilli: 200 } } }),
    ];
    await node.survives('affinity churn', async () => {
      await Promise.all(pods.map((pod) => affinityChurn(pod.container(), SOAK_SECONDS)));
    });
  });

  test('cgroups that come and go, and tasks that leave them while they are throttled', async () => {
    await node.survives('cgroup churn', async () => {
      const { pods, moves } = await cgroupChurn(node, SOAK_SECONDS);
      fact('cgroupChurn', `${pods} pods, ${moves} tasks moved`);
      expect(moves).toBeGreaterThan(0);
    });
  });
});

test('the agent killed again and again under churn: the kernel has the node back each time', async () => {
  const node = new SoakNode('soak-kill');
  const log = new KernelLog();
  const before = bpfCounts();
  try {
    node.saturate();
    const churn = cgroupChurn(node, SOAK_SECONDS);
    const until = performance.now() + SOAK_SECONDS * 1000;
    const disabledMs: number[] = [];
    while (performance.now() < until) {
      const agent = await AgentProcess.enforce(`soak-kill-${disabledMs.length}`, node.podsDir);
      expect(schedExt('state'), agent.log()).toBe('enabled');
      await sleep(1_000);
      const killedAt = performance.now();
      agent.child.kill('SIGKILL');
      await eventually('the kernel schedules by itself', () =>
        schedExt('state') === 'disabled' ? true : undefined,
      );
      disabledMs.push(performance.now() - killedAt);
      await killAgents();
    }
    await churn;
    fact('killedUnderChurn', `${disabledMs.length} times, ${Math.round(Math.max(...disabledMs))} ms at most`);
    expect(Math.max(...disabledMs)).toBeLessThan(5_000);
  } finally {
    await node.close();
  }
  expect(bpfCounts()).toEqual(before);
  expect(log.takeTrouble()).toEqual([]);
});
