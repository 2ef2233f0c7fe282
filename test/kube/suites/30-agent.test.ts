/** The whole chain: kubectl -> API server -> agent -> slot in this machine's kernel -> page and metric. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { install } from '../install.ts';
import { nativeProblem } from '../native-problem.ts';
import { NodeUnderTest, type PlacedPod } from '../node-under-test.ts';
import { bindPod, createNode, removeNode } from '../nodes.ts';
import { createNamespace, deploymentObject, podObject, podsPath } from '../objects.ts';

const problem = nativeProblem();
const NAMESPACE = 'chain';
const SLO = { 'scx-slo.io/budget-ms': '50', 'scx-slo.io/importance': '80' };
const REPLICAS = 50;

describe.skipIf(problem !== '')(
  `an agent with its observer in this kernel${problem && ` (${problem})`}`,
  () => {
    let shared: Cluster;
    let node: NodeUnderTest;
    const api = () => shared.plane.api;
    /** Of pods without a cgroup; those of other suites that the scheduler put here are among them. */
    const waiting = async () => JSON.stringify((await node.view()).unresolved);

    beforeAll(async () => {
      shared = await cluster();
      await install(shared);
      await createNamespace(shared.plane, NAMESPACE);
      node = await NodeUnderTest.create(shared, 'chain-node');
      await node.startAgent();
    });

    afterAll(async () => {
      await node?.stop();
    });

    it('gives a pod a slot when its cgroup appears after it was bound', async () => {
      const uid = await node.applyPod(NAMESPACE, 'pod-first', SLO);
      await eventually('the agent waits for its cgroup', async () => (await waiting()).includes('pod-first'));
      const pod = await node.run(NAMESPACE, 'pod-first', uid);
      expect(await node.slotted(pod)).toMatchObject({
        uid,
        budgetMs: 50,
        importance: 80,
        cgroup: pod.cgroup,
      });
      await eventually('it waits no more', async () => !(await waiting()).includes('pod-first'));
    });

    it('gives a pod a slot when its cgroup was there before the agent knew it', async () => {
      const { metadata } = await api().create(
        podsPath(NAMESPACE),
        podObject({ namespace: NAMESPACE, name: 'cgroup-first', annotations: SLO, schedulerName: 'test' }),
      );
      const pod = await node.run(NAMESPACE, 'cgroup-first', metadata.uid ?? '');
      await bindPod(api(), NAMESPACE, 'cgroup-first', node.name);
      await node.slotted(pod);
    });

    it('shows the pod in /metrics, and counts what its tasks wait', async () => {
      const pod = await node.place(NAMESPACE, 'measured', SLO);
      await node.slotted(pod);
      node.cgroups.run(pod.cgroup, 'while :; do sleep 0.02; done');
      const labels = `{namespace="${NAMESPACE}",pod="measured",`;
      const waits = () => node.agent.metric(`scx_slo_sched_delay_seconds_count${labels}`);
      await eventually('its waits are counted', async () => ((await waits()) ?? 0) > 20);
      expect(await node.agent.metric(`scx_slo_budget_seconds${labels}`)).toBe(0.05);
      expect(await node.agent.metric(`scx_slo_importance${labels}`)).toBe(80);
    });

    it('follows an edit with kubectl', async () => {
      const pod = await node.place(NAMESPACE, 'edited', SLO);
      await node.slotted(pod);
      await shared.kubectl([
        '-n',
        NAMESPACE,
        'annotate',
        '--overwrite',
        'pod',
        'edited',
        'scx-slo.io/budget-ms=20',
      ]);
      await eventually(
        'the new budget',
        async () => (await node.agent.pod(NAMESPACE, 'edited'))?.budgetMs === 20,
      );
      await shared.kubectl([
        '-n',
        NAMESPACE,
        'annotate',
        'pod',
        'edited',
        'scx-slo.io/budget-ms-',
        'scx-slo.io/importance-',
      ]);
      await eventually('no SLO', async () => (await node.agent.pod(NAMESPACE, 'edited')) === undefined);
    });

    it('cuts what the namespace does not allow, also without a webhook', async () => {
      const caps = { 'caps.scx-slo.io/max-importance': '60', 'caps.scx-slo.io/min-budget-ms': '30' };
      await createNamespace(shared.plane, 'capped', { annotations: caps });
      const pod = await node.place('capped', 'greedy', {
        'scx-slo.io/budget-ms': '5',
        'scx-slo.io/importance': '95',
      });
      expect(await node.slotted(pod)).toMatchObject({ budgetMs: 30, importance: 60 });
      await api().patch('/api/v1/namespaces/capped', {
        metadata: { annotations: { 'caps.scx-slo.io/max-importance': '70' } },
      });
      await eventually(
        'the new cap',
        async () => (await node.agent.pod('capped', 'greedy'))?.importance === 70,
      );
    });

    it('leaves alone what is wrong, and says so', async () => {
      const pod = await node.place(NAMESPACE, 'wrong', { 'scx-slo.io/budget-ms': 'fast' });
      await eventually('the error is on the page', async () =>
        (await node.view()).sourceErrors.some((text) => text.includes('scx-slo.io/budget-ms')),
      );
      expect(await node.agent.pod(NAMESPACE, 'wrong')).toBeUndefined();
      await node.end(pod);
    });

    it('knows a static pod by its hash and not by the UID of its mirror', async () => {
      const hash = '0123456789abcdef0123456789abcdef';
      const { metadata } = await api().get(`/api/v1/nodes/${node.name}`);
      const mirror = podObject({
        namespace: NAMESPACE,
        name: `static-${node.name}`,
        nodeName: node.name,
        annotations: {
          ...SLO,
          'kubernetes.io/config.mirror': hash,
          'kubernetes.io/config.hash': hash,
          'kubernetes.io/config.source': 'file',
        },
      });
      const ownerReferences = [
        { apiVersion: 'v1', kind: 'Node', name: node.name, uid: metadata.uid, controller: true },
      ];
      await api().create(podsPath(NAMESPACE), {
        ...mirror,
        metadata: { ...mirror.metadata, ownerReferences },
      });
      const pod = await node.run(NAMESPACE, mirror.metadata.name ?? '', hash);
      await node.slotted(pod);
    });

    it('takes no notice of the pods of another node', async () => {
      await createNode(api(), 'other-node');
      const uid = await node.applyPod(NAMESPACE, 'here', SLO);
      await api().create(
        podsPath(NAMESPACE),
        podObject({ namespace: NAMESPACE, name: 'elsewhere', annotations: SLO, nodeName: 'other-node' }),
      );
      await node.slotted(await node.run(NAMESPACE, 'here', uid));
      expect(JSON.stringify(await node.view())).not.toContain('elsewhere');
      await removeNode(api(), 'other-node');
    });

    it('forgets a pod that has ended', async () => {
      const pod = await node.place(NAMESPACE, 'ending', SLO);
      await node.slotted(pod);
      await node.end(pod);
      await eventually(
        'it is gone',
        async () =>
          !JSON.stringify(await node.view()).includes('"ending"') && !node.slots().has(pod.cgroupId),
      );
    });

    it(`has a slot for each of the ${REPLICAS} pods of a Deployment that the scheduler put here`, async (context) => {
      if (shared.plane.programs.scheduler === undefined || !shared.plane.hasControllers) {
        context.skip('no kube-scheduler and kube-controller-manager beside this API server');
      }
      expect(
        (await shared.kubectl(['apply', '-f', '-'], [deploymentObject(NAMESPACE, 'many', REPLICAS, SLO)]))
          .code,
      ).toBe(0);
      const pods = await eventually(`${REPLICAS} pods on the node`, async () => {
        const found = await api().list(
          `${podsPath(NAMESPACE)}?labelSelector=app%3Dmany&fieldSelector=spec.nodeName%3D${node.name}`,
        );
        return found.length === REPLICAS ? found : undefined;
      });
      const placed: PlacedPod[] = [];
      for (const { metadata } of pods)
        placed.push(await node.run(NAMESPACE, metadata.name ?? '', metadata.uid ?? ''));
      for (const pod of placed) await node.slotted(pod);
      await api().remove(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments/many`);
      for (const pod of placed) await node.end(pod);
      await eventually('all are gone', async () =>
        placed.every(({ cgroupId }) => !node.slots().has(cgroupId)),
      );
    });
  },
);
