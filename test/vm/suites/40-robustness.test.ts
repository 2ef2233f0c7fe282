// Short forms of the soak (test/vm/soak): what has thrown out or hung sched_ext schedulers before.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { describeIf } from './applies.ts';
import { affinityChurn, cgroupChurn } from './churn.ts';
import { fact } from './facts.ts';
import { KernelLog } from './kernel-log.ts';
import { Holdings } from './leaks.ts';
import { NodeUnderTest } from './node-under-test.ts';
import { worstWakeupMs } from './waits.ts';

const SECONDS = 8;
/** Half of the watchdog's time: nobody is to come near it. */
const LONGEST_WAIT_MS = 15_000;

describeIf(process.env.SCX_SLO_VM_EXPECTATION === 'enforce')('a node that enforces', () => {
  const node = new NodeUnderTest('robustness');
  const log = new KernelLog();
  let holdings: Holdings;
  beforeAll(async () => {
    await node.enforce();
    holdings = await Holdings.of(node.agent);
  });
  afterEach(() => node.clear());
  afterAll(() => node.close());

  /** `load` beside a probe in a pod of its own; nothing is stuck, thrown out or left behind. */
  const survives = async (name: string, load: () => Promise<void>): Promise<void> => {
    const probe = node.add('probe', { containers: { main: { requestMilli: 100 } } });
    const [worstMs] = await Promise.all([worstWakeupMs(probe.container(), SECONDS), load()]);
    fact(`worstWakeupMs ${name}`, worstMs);
    expect(worstMs).toBeLessThan(LONGEST_WAIT_MS);
    await node.clear();
    await node.expectEnforcing();
    await holdings.expectBack(name);
    expect(log.takeTrouble()).toEqual([]);
  };

  test('forks and affinity changes', async () => {
    const pod = node.add('stress', {
      annotations: { 'scx-slo.io/budget-ms': '20' },
      containers: { main: { requestMilli: 200 } },
    });
    await survives('affinity churn', () => affinityChurn(pod.container(), SECONDS));
  });

  test('cgroups that come and go, and tasks that leave them while they are throttled', async () => {
    await survives('cgroup churn', async () => {
      const { pods, moves } = await cgroupChurn(node, SECONDS);
      fact('cgroupChurn', `${pods} pods, ${moves} tasks moved`);
      expect(moves).toBeGreaterThan(0);
    });
  });
});
