/** Nodes without a kubelet: the object, and what a kubelet would do to the objects of its pods. */
import type { ApiClient, KubeObject } from './api-client.ts';
import { podPath } from './objects.ts';

/** A node on which pods can be placed. */
export async function createNode(api: ApiClient, name: string): Promise<KubeObject> {
  const node = await api.create('/api/v1/nodes', {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } },
  });
  const room = { cpu: '64', memory: '64Gi', pods: '1000' };
  const now = new Date().toISOString();
  await api.patch(
    `/api/v1/nodes/${name}/status`,
    {
      status: {
        capacity: room,
        allocatable: room,
        conditions: [
          {
            type: 'Ready',
            status: 'True',
            reason: 'NoKubelet',
            lastHeartbeatTime: now,
            lastTransitionTime: now,
          },
        ],
      },
    },
    'strategic-merge-patch',
  );
  // A new node is tainted as not ready; who takes that off looks at heartbeats.
  await api.patch(`/api/v1/nodes/${name}`, { spec: { taints: null } });
  return node;
}

/** With its pods: there is no kubelet that would say that they have ended. */
export async function removeNode(api: ApiClient, name: string): Promise<void> {
  await api.remove(`/api/v1/nodes/${name}`);
  for (const { metadata } of await api.list(`/api/v1/pods?fieldSelector=spec.nodeName%3D${name}`)) {
    await api.remove(`${podPath(metadata.namespace ?? '', metadata.name ?? '')}?gracePeriodSeconds=0`);
  }
}

export async function bindPod(api: ApiClient, namespace: string, pod: string, node: string): Promise<void> {
  await api.create(`${podPath(namespace, pod)}/binding`, {
    metadata: { name: pod },
    target: { apiVersion: 'v1', kind: 'Node', name: node },
  });
}

/** What a kubelet reports when the containers run. */
export async function reportRunning(
  api: ApiClient,
  namespace: string,
  pod: string,
  { podIp, containers }: { podIp: string; containers: Record<string, string> },
): Promise<void> {
  const containerStatuses = Object.entries(containers).map(([name, id]) => ({
    name,
    containerID: `containerd://${id}`,
    image: 'none',
    imageID: '',
    ready: true,
    restartCount: 0,
    state: { running: {} },
  }));
  const status = {
    phase: 'Running',
    hostIP: '127.0.0.1',
    podIP: podIp,
    podIPs: [{ ip: podIp }],
    containerStatuses,
  };
  await api.patch(`${podPath(namespace, pod)}/status`, { status }, 'strategic-merge-patch');
}
