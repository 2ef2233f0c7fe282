/** The part of a pod that the demo's kubelet needs, and what kubelet derives from it. */
import { parseAllDocuments } from 'yaml';
import type { QosClass } from '../../agent/cgroups/cgroup-path.ts';

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: { fieldRef?: { fieldPath: string } };
}

export interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: EnvVar[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
}

export interface Pod {
  apiVersion: string;
  kind: 'Pod';
  metadata: { name: string; namespace: string; uid?: string; annotations?: Record<string, string> };
  spec: { containers: Container[] };
  status?: Record<string, unknown>;
}

const isPod = (value: unknown): value is Pod =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Pod' && 'spec' in value;

/** The pods among the documents of a YAML file. Throws on bad YAML: the manifests are ours. */
export const podsOf = (yaml: string): Pod[] =>
  parseAllDocuments(yaml).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const value: unknown = document.toJS();
    return isPod(value) ? [value] : [];
  });

/** `100m`, `0.5`, `2` -> thousandths of a CPU; 0 when absent. */
export const milliCpus = (quantity: string | undefined): number => {
  if (quantity === undefined) return 0;
  return quantity.endsWith('m') ? Number(quantity.slice(0, -1)) : Math.round(Number(quantity) * 1000);
};

export const requestedMilliCpus = (pod: Pod): number =>
  pod.spec.containers.reduce((sum, { resources }) => sum + milliCpus(resources?.requests?.cpu), 0);

/** kubelet: requests -> cgroup v1 shares -> cgroup v2 weight (KEP-2254's formula; newer runc rounds differently). */
export const weightOf = (milli: number): number => {
  const shares = Math.min(262_144, Math.max(2, Math.floor((milli * 1024) / 1000)));
  return 1 + Math.floor(((shares - 2) * 9999) / 262_142);
};

/** CPU only, which is all that the demo's manifests use to tell classes apart. */
export const qosOf = (pod: Pod): QosClass => {
  const containers = pod.spec.containers;
  const guaranteed = containers.every(({ resources }) => {
    const { requests, limits } = resources ?? {};
    return limits?.cpu !== undefined && limits.cpu === (requests?.cpu ?? limits.cpu);
  });
  if (guaranteed) return 'guaranteed';
  return requestedMilliCpus(pod) > 0 ? 'burstable' : 'besteffort';
};

/** What the downward API can refer to. */
export interface PodFacts {
  podIp: string;
  hostIp: string;
}

const fieldValue = (pod: Pod, facts: PodFacts, path: string): string => {
  const fields: Record<string, string | undefined> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'status.podIP': facts.podIp,
    'status.hostIP': facts.hostIp,
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`${pod.metadata.name}: no downward API field ${path} in the demo`);
  return value;
};

/** The container's environment: values, downward API fields, and $(NAME) of what stands before. */
export const environmentOf = (pod: Pod, container: Container, facts: PodFacts): Record<string, string> => {
  const environment: Record<string, string> = {};
  for (const { name, value, valueFrom } of container.env ?? []) {
    const path = valueFrom?.fieldRef?.fieldPath;
    const raw = path === undefined ? (value ?? '') : fieldValue(pod, facts, path);
    environment[name] = raw.replace(
      /\$\(([A-Za-z_][\w.-]*)\)/g,
      (whole, key: string) => environment[key] ?? whole,
    );
  }
  return environment;
};
