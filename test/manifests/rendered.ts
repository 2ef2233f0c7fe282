/** The manifests as `kubectl kustomize` renders them, and ways to look into them. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { V1Container, V1ObjectMeta, V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';

const project = join(import.meta.dirname, '../..');
const run = promisify(execFile);

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: V1ObjectMeta;
  [field: string]: unknown;
}

const listOf = (folder: 'overlays' | 'components'): string[] =>
  readdirSync(join(project, 'manifests', folder)).sort();

export const OVERLAYS = listOf('overlays');
export const COMPONENTS = listOf('components');

let kubectl: Promise<string> | undefined;

const kubectlPath = (): Promise<string> => {
  kubectl ??= run(join(project, '.ci/kubectl.sh')).then(({ stdout }) => stdout.trim());
  return kubectl;
};

/** @param folder in the checkout, with a kustomization; throws where it does not render */
export const render = async (folder: string): Promise<Manifest[]> => {
  const { stdout } = await run(await kubectlPath(), ['kustomize', join(project, folder)], {
    maxBuffer: 16 * 1024 * 1024,
  });
  return parseAllDocuments(stdout).map((document): Manifest => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS();
  });
};

/** `Kind/name`. */
export const idOf = ({ kind, metadata }: Manifest): string => `${kind}/${metadata.name}`;

export const ofKind = <T = Manifest>(objects: readonly Manifest[], kind: string): (Manifest & T)[] =>
  objects.filter((object): object is Manifest & T => object.kind === kind);

export interface Workload {
  id: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  pod: V1PodSpec;
}

interface Templated {
  spec: { template?: V1PodTemplateSpec; jobTemplate?: { spec: { template: V1PodTemplateSpec } } };
}

/** Everything that makes pods. */
export const workloadsOf = (objects: readonly Manifest[]): Workload[] =>
  objects.flatMap((object): Workload[] => {
    if (object.kind === 'Pod') {
      const { labels = {}, annotations = {} } = object.metadata;
      return [{ id: idOf(object), labels, annotations, pod: object.spec as V1PodSpec }];
    }
    if (!['DaemonSet', 'Deployment', 'Job', 'CronJob'].includes(object.kind)) return [];
    const { spec } = object as Manifest & Templated;
    const template = spec.jobTemplate?.spec.template ?? spec.template;
    if (template?.spec === undefined) return [];
    const { labels = {}, annotations = {} } = template.metadata ?? {};
    return [{ id: idOf(object), labels, annotations, pod: template.spec }];
  });

export const containersOf = ({ pod }: Workload): V1Container[] => [
  ...(pod.initContainers ?? []),
  ...pod.containers,
];

export const selectedBy = (
  workloads: readonly Workload[],
  labels: Readonly<Record<string, string>> | undefined,
): Workload[] =>
  workloads.filter((workload) =>
    Object.entries(labels ?? {}).every(([name, value]) => workload.labels[name] === value),
  );

/** Container port with this name or number; undefined: there is none. */
export const portOf = (workload: Workload, port: string | number | undefined): number | undefined =>
  containersOf(workload)
    .flatMap(({ ports }) => ports ?? [])
    .find(({ name, containerPort }) => port === name || port === containerPort)?.containerPort;
