/** The last suite: it takes everything away. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { install, manifestsFor } from '../install.ts';
import { createNamespace, getPod, podObject, recordIn } from '../objects.ts';
import { SYSTEM_NAMESPACE } from '../pod-account.ts';

/** A namespace goes when its controllers have emptied it. */
const EMPTYING_MS = 55_000;

let shared: Cluster;

beforeAll(async () => {
  shared = await cluster();
  await install(shared);
});

/** As a kubelet does, which no node here has: without it a pod that was bound stays as long as its node's name. */
const endPods = async (): Promise<void> => {
  const { api } = shared.plane;
  const pods = `/api/v1/namespaces/${SYSTEM_NAMESPACE}/pods`;
  for (const { metadata } of await api.list(pods))
    if (metadata.deletionTimestamp !== undefined)
      await api.send('DELETE', `${pods}/${metadata.name}?gracePeriodSeconds=0`);
};

describe('kubectl delete -k', () => {
  it('leaves nothing behind', async (context) => {
    if (!shared.plane.hasControllers)
      context.skip('no kube-controller-manager beside this API server empties namespaces');
    const { code, stderr } = await shared.kubectl(['delete', '--wait=false', '-k', manifestsFor(shared)]);
    expect(code, stderr.join('\n')).toBe(0);
    const { api } = shared.plane;
    const lists = [
      '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
      '/apis/rbac.authorization.k8s.io/v1/clusterroles',
      '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
      '/apis/scheduling.k8s.io/v1/priorityclasses',
      '/api/v1/namespaces',
    ];
    await eventually(
      'nothing of ours is left',
      async () => {
        await endPods();
        const found = (await Promise.all(lists.map((path) => api.list(path)))).flat();
        const names = found
          .map(({ metadata }) => metadata.name ?? '')
          .filter((name) => name.startsWith('scx-slo'));
        if (names.length > 0) throw new Error(`there are ${names.join(', ')}`);
        return true;
      },
      EMPTYING_MS,
    );
    expect((await api.send('GET', `/api/v1/namespaces/${SYSTEM_NAMESPACE}`)).status).toBe(404);
  });

  it('does not hinder pods', async () => {
    await createNamespace(shared.plane, 'afterwards');
    const pod = podObject({
      namespace: 'afterwards',
      name: 'pod',
      annotations: { 'scx-slo.io/budget-ms': '50' },
    });
    expect((await shared.kubectl(['apply', '-f', '-'], [pod])).code).toBe(0);
    expect(recordIn(await getPod(shared.plane.api, 'afterwards', 'pod'))).toEqual({});
  });
});
