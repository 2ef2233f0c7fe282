/** Pods as an API server shows them, with what most of them carry and nobody here reads. */
import type { StoredObject } from './kube-store.ts';

export interface PodSketch {
  name: string;
  namespace?: string;
  uid?: string;
  nodeName?: string;
  annotations?: Record<string, string>;
  requestMilli?: number;
  /** By container name; undefined: it has not started. */
  containers?: Readonly<Record<string, string | undefined>>;
  podIps?: readonly string[];
}

const MANAGED_FIELDS = ['kubectl-client-side-apply', 'kube-scheduler', 'kubelet'].map((manager) => ({
  manager,
  operation: 'Update',
  apiVersion: 'v1',
  time: '2026-11-24T10:00:00Z',
  fieldsType: 'FieldsV1',
  fieldsV1: Object.fromEntries(
    ['f:metadata', 'f:spec', 'f:status'].map((field) => [
      field,
      { 'f:a': {}, 'f:b': {}, 'f:c': { '.': {} } },
    ]),
  ),
}));

export const apiPodOf = ({
  name,
  namespace = 'shop',
  uid,
  nodeName = 'node-1',
  annotations = {},
  requestMilli = 100,
  containers = { main: undefined },
  podIps = ['10.0.0.7'],
}: PodSketch): StoredObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace,
    ...(uid === undefined ? {} : { uid }),
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', ...annotations },
    labels: { app: name },
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${name}-rs`, uid: 'rs', controller: true },
    ],
    managedFields: MANAGED_FIELDS,
  },
  spec: {
    nodeName,
    serviceAccountName: 'default',
    tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', tolerationSeconds: 300 }],
    containers: Object.keys(containers).map((container) => ({
      name: container,
      image: `registry.example/${container}:1.0`,
      env: [{ name: 'PORT', value: '8080' }],
      resources: { requests: { cpu: `${requestMilli}m`, memory: '64Mi' } },
    })),
  },
  status: {
    phase: 'Running',
    podIPs: podIps.map((ip) => ({ ip })),
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-11-24T10:00:00Z' }],
    containerStatuses: Object.entries(containers).flatMap(([container, id]) =>
      id === undefined
        ? []
        : [{ name: container, containerID: `containerd://${id}`, ready: true, restartCount: 0 }],
    ),
  },
});
