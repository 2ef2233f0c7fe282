/** What people see of the agent with kubectl: Events of pods, and the condition of the Node. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { install } from '../install.ts';
import { nativeProblem } from '../native-problem.ts';
import { NodeUnderTest } from '../node-under-test.ts';
import { createNamespace } from '../objects.ts';

const problem = nativeProblem();
const NAMESPACE = 'reports';
const NODE_STATUS_RIGHTS = join(
  import.meta.dirname,
  '../../../manifests/components/node-condition/rbac.yaml',
);
/** An Event is sent a second after its cause at the earliest. */
const SETTLED_MS = 3_000;

interface Event {
  type: string;
  reason: string;
  message: string;
  involvedObject: { kind: string; name: string; uid: string };
}

describe.skipIf(problem !== '')(`an agent that should enforce${problem && ` (skipped: ${problem})`}`, () => {
  let shared: Cluster;
  let node: NodeUnderTest;

  beforeAll(async () => {
    shared = await cluster();
    await install(shared);
    await createNamespace(shared.plane, NAMESPACE, {
      annotations: { 'caps.scx-slo.io/max-importance': '60' },
    });
    expect((await shared.kubectl(['apply', '-f', NODE_STATUS_RIGHTS])).code).toBe(0);
    node = await NodeUnderTest.create(shared, 'reporting-node');
    await node.startAgent('--mode', 'enforce', '--node-condition');
  });

  afterAll(async () => {
    await node?.stop();
    await shared.kubectl(['delete', '-f', NODE_STATUS_RIGHTS]);
  });

  /** As `kubectl get events` shows them. */
  const eventsOf = async (pod: string): Promise<Event[]> => {
    const { stdout } = await shared.kubectl([
      '-n',
      NAMESPACE,
      'get',
      'events',
      '-o',
      'json',
      '--field-selector',
      `involvedObject.name=${pod}`,
    ]);
    return (JSON.parse(stdout) as { items: Event[] }).items.filter(({ reason }) =>
      /^(SLO|SchedExt)/.test(reason),
    );
  };
  const eventOf = (pod: string, reason: string) =>
    eventually(`${reason} of ${pod}`, async () =>
      (await eventsOf(pod)).find((event) => event.reason === reason),
    );

  it('says in an Event of the pod what was cut, once', async () => {
    const pod = await node.place(NAMESPACE, 'greedy', {
      'scx-slo.io/budget-ms': '50',
      'scx-slo.io/importance': '95',
    });
    const event = await eventOf('greedy', 'SLOClamped');
    expect(event).toMatchObject({ type: 'Warning', involvedObject: { kind: 'Pod', uid: pod.uid } });
    expect(event.message).toContain('importance:95>60');
    // Changes of the pod that change nothing for it.
    for (const value of ['a', 'b', 'c']) {
      await shared.kubectl([
        '-n',
        NAMESPACE,
        'label',
        '--overwrite',
        'pod',
        'greedy',
        `example.com/x=${value}`,
      ]);
    }
    await sleep(SETTLED_MS);
    expect((await eventsOf('greedy')).filter(({ reason }) => reason === 'SLOClamped')).toHaveLength(1);
  });

  it('says in an Event of the pod which value is wrong', async () => {
    await node.place(NAMESPACE, 'wrong', { 'scx-slo.io/budget-ms': 'fast' });
    const event = await eventOf('wrong', 'SLOInvalid');
    expect(event.message).toContain('scx-slo.io/budget-ms');
  });

  it('says in the Node that it cannot enforce, and why', async (context) => {
    if (existsSync('/sys/kernel/sched_ext')) context.skip('this kernel has sched_ext');

    const condition = await eventually('the condition of the Node', async () => {
      const { status } = await shared.plane.api.get(`/api/v1/nodes/${node.name}`);
      const { conditions } = status as { conditions: { type: string; status: string; reason: string }[] };
      return conditions.find(({ type }) => type === 'SchedExtReady');
    });
    expect(condition).toMatchObject({ status: 'False' });
    expect(condition.reason).toMatch(/^[A-Z][A-Za-z]+$/);
    const { stdout } = await shared.kubectl([
      'get',
      'node',
      node.name,
      '-o',
      'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
    ]);
    expect(stdout).toBe('True');
    expect((await eventOf('greedy', 'SLOUnenforceable')).message).toContain(condition.reason);
  });
});
