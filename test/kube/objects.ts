/** Kubernetes objects that the suites create. */
import type { ApiClient, KubeObject } from './api-client.ts';
import type { ControlPlane } from './control-plane.ts';
import { eventually } from './eventually.ts';

export type Texts = Record<string, string>;

interface PodParts {
  namespace: string;
  name: string;
  annotations?: Texts;
  labels?: Texts;
  containers?: readonly string[];
  cpuRequest?: string;
  nodeName?: string;
  /** Another than the cluster's: nobody binds the pod but the test. */
  schedulerName?: string;
}

const IMAGE = 'registry.example/none:1';

export function podObject({ namespace, name, annotations = {}, labels = {}, ...more }: PodParts): KubeObject {
  const { containers = ['app'], cpuRequest, nodeName, schedulerName } = more;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, annotations, labels },
    spec: {
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(schedulerName === undefined ? {} : { schedulerName }),
      terminationGracePeriodSeconds: 0,
      containers: containers.map((container) => ({
        name: container,
        image: IMAGE,
        ...(cpuRequest === undefined ? {} : { resources: { requests: { cpu: cpuRequest } } }),
      })),
    },
  };
}

export function deploymentObject(
  namespace: string,
  name: string,
  replicas: number,
  annotations: Texts,
): KubeObject {
  const labels = { app: name };
  const { spec } = podObject({ namespace, name, containers: ['app', 'log'] });
  const { terminationGracePeriodSeconds: _, ...podSpec } = spec as Record<string, unknown>;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels, annotations }, spec: podSpec },
    },
  };
}

/** Resolves when pods can be created in it. */
export async function createNamespace(
  plane: ControlPlane,
  name: string,
  more: { annotations?: Texts; labels?: Texts } = {},
): Promise<void> {
  await plane.api.create('/api/v1/namespaces', { metadata: { name, ...more } });
  if (plane.hasControllers) {
    await eventually(`the account of namespace ${name}`, () => plane.hasDefaultAccount(name));
  }
}

export const podsPath = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;
export const podPath = (namespace: string, name: string): string => `${podsPath(namespace)}/${name}`;

export const annotationsOf = (object: KubeObject): Texts => object.metadata.annotations ?? {};

/** The webhook's record in a pod; empty: there is none. */
export const recordIn = (pod: KubeObject): Texts =>
  Object.fromEntries(Object.entries(annotationsOf(pod)).filter(([key]) => key.startsWith('effective')));

export const getPod = (api: ApiClient, namespace: string, name: string): Promise<KubeObject> =>
  api.get(podPath(namespace, name));
