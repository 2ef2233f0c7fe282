/** What the agent does while the cluster around it breaks: what it knows stays in force, what it missed it finds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { install } from '../install.ts';
import { nativeProblem } from '../native-problem.ts';
import { NodeUnderTest, type PlacedPod } from '../node-under-test.ts';
import { createNamespace } from '../objects.ts';

const problem = nativeProblem();
const NAMESPACE = 'trouble';
const SLO = { 'scx-slo.io/budget-ms': '50', 'scx-slo.io/importance': '80' };
/** The agent's longest pause between two tries is 30 s, with jitter. */
const RECOVERY_MS = 60_000;
const OUTAGE_MS = 5_000;

describe.skipIf(problem !== '')(
  `an agent with its observer in this kernel${problem && ` (${problem})`}`,
  { timeout: 150_000 },
  () => {
    let shared: Cluster;
    let node: NodeUnderTest;
    /** Was there before any trouble. */
    let old: PlacedPod;
    const api = () => shared.plane.api;

    beforeAll(async () => {
      shared = await cluster();
      await install(shared);
      await createNamespace(shared.plane, NAMESPACE);
      node = await NodeUnderTest.create(shared, 'trouble-node');
      await node.startAgent();
      old = await node.place(NAMESPACE, 'old', SLO);
      await node.slotted(old);
    });

    afterEach(() => {
      shared.plane.resumeEtcd();
      node.agent.program.signal('SIGCONT');
    });

    afterAll(async () => {
      await node?.stop();
    });

    const restartApiServer = async () => {
      await shared.plane.killApiServer();
      await shared.plane.startApiServer();
    };
    /** Lists of pods so far. */
    const lists = async () =>
      (await node.agent.metric('scx_slo_reflector_lists_total{resource="pods"}')) ?? 0;
    /** That the agent has caught up with the API server. */
    const newPodHasSlot = async (name: string) =>
      node.slotted(await node.place(NAMESPACE, name, SLO), RECOVERY_MS);

    it('keeps its slots while there is no API server, and sees new pods when there is one again', async () => {
      const before = node.slots().get(old.cgroupId);
      await shared.plane.killApiServer();
      await sleep(OUTAGE_MS);
      expect(node.slots().get(old.cgroupId)).toBe(before);
      await shared.plane.startApiServer();
      await newPodHasSlot('after-restart');
      expect(node.slots().get(old.cgroupId)).toBe(before);
    });

    it('keeps its slots while etcd stands still, and sees new pods when it goes on', async () => {
      const before = node.slots().get(old.cgroupId);
      shared.plane.pauseEtcd();
      await sleep(OUTAGE_MS);
      expect(node.slots().get(old.cgroupId)).toBe(before);
      shared.plane.resumeEtcd();
      await eventually(
        'the API server works again',
        async () => (await api().send('GET', '/readyz')).status === 200,
        RECOVERY_MS,
      );
      await newPodHasSlot('after-pause');
      expect(node.slots().get(old.cgroupId)).toBe(before);
    });

    it('is right again after a kill, with what came and went while it was dead', async () => {
      const going = await node.place(NAMESPACE, 'going', SLO);
      await node.slotted(going);
      await node.agent.program.kill();
      await node.end(going);
      const coming = await node.place(NAMESPACE, 'coming', SLO);
      await node.startAgent();
      await node.slotted(coming);
      await node.slotted(old);
      expect(JSON.stringify(await node.view())).not.toContain('"going"');
    });

    it('lists again when its place in the history is gone (410), and finds what it missed', async () => {
      const going = await node.place(NAMESPACE, 'going-410', SLO);
      await node.slotted(going);
      const before = await lists();
      node.agent.program.signal('SIGSTOP');
      // Its watch ends here: what follows does not wait in its socket.
      await restartApiServer();
      await node.end(going);
      const coming = await node.place(NAMESPACE, 'coming-410', SLO);
      await shared.kubectl([
        '-n',
        NAMESPACE,
        'annotate',
        '--overwrite',
        'pod',
        'old',
        'scx-slo.io/budget-ms=20',
      ]);
      // A new API server knows of changes from its start on; etcd has forgotten the ones before.
      await shared.plane.killApiServer();
      await shared.plane.compact();
      await shared.plane.startApiServer();
      node.agent.program.signal('SIGCONT');
      await node.slotted(coming, RECOVERY_MS);
      await eventually(
        'the edit that it missed',
        async () => (await node.agent.pod(NAMESPACE, 'old'))?.budgetMs === 20,
        RECOVERY_MS,
      );
      expect(JSON.stringify(await node.view())).not.toContain('"going-410"');
      expect(await lists()).toBeGreaterThan(before);
    });

    it('goes on with a new token when the one before is refused', async () => {
      await node.account.rotateToken();
      // Open connections were let in with the old one.
      await shared.plane.killApiServer();
      await shared.plane.startApiServer();
      await newPodHasSlot('after-rotation');
      expect(node.agent.program.running).toBe(true);
    });
  },
);
