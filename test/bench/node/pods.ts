/** Pods as kubelet leaves them on a node: cgroups with weights and limits, and the manifest that the agent reads. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { QosClass } from '../../../agent/cgroups/cgroup-path.ts';
import { cgroupDir, cgroupId, makeCgroup, removeCgroups } from '../../demo/node-cgroups.ts';
import { weightOf } from '../../demo/pod.ts';
import { containerCgroupPath, podCgroupPath } from '../../fakes/kubelet-cgroups.ts';
import { type ContainerSpec, hasSlo, type PodSpec } from '../scenario.ts';

const PODS_ROOT = '/kubepods.slice';
/** cpu.max: quota in this period. */
const PERIOD_US = 100_000;
const WEIGHT_MAX = 10_000;

/** From requests, as kubelet does it, or the same for every pod. */
export type Weights = 'requests' | 'equal';

export interface NodePod {
  spec: PodSpec;
  cgroup: string;
  cgroupId: number;
  /** In the order of the spec. */
  containers: { spec: ContainerSpec; cgroup: string }[];
}

/** The same in every boot. */
const uidOf = (name: string): string => {
  const hex = createHash('sha256').update(name).digest('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
};

const milliOf = (share: number | undefined, cpus: number): number => Math.round((share ?? 0) * cpus * 1000);

const podMilli = (pod: PodSpec, cpus: number): number =>
  pod.containers.reduce((sum, { request }) => sum + milliOf(request, cpus), 0);

const qosOf = (pod: PodSpec, cpus: number): QosClass =>
  podMilli(pod, cpus) > 0 ? 'burstable' : 'besteffort';

const quotaUs = (share: number, cpus: number): number => Math.round(share * cpus * PERIOD_US);

const setLimit = (cgroup: string, share: number | undefined, cpus: number): void => {
  if (share !== undefined)
    writeFileSync(`${cgroupDir(cgroup)}/cpu.max`, `${quotaUs(share, cpus)} ${PERIOD_US}`);
};

/** A pod has a limit when all of its containers have one. */
const podLimit = (pod: PodSpec): number | undefined =>
  pod.containers.every(({ limit }) => limit !== undefined)
    ? pod.containers.reduce((sum, { limit = 0 }) => sum + limit, 0)
    : undefined;

const containerIdOf = (pod: PodSpec, container: ContainerSpec): string =>
  createHash('sha256').update(`${pod.name}/${container.name}`).digest('hex');

const makePod = (spec: PodSpec, cpus: number, weights: Weights): NodePod => {
  const uid = uidOf(spec.name);
  const place = { driver: 'systemd' as const, qos: qosOf(spec, cpus), uid };
  const cgroup = podCgroupPath(place);
  const weight = (milli: number): number => (weights === 'equal' ? 100 : weightOf(milli));
  makeCgroup(cgroup, weight(podMilli(spec, cpus)));
  setLimit(cgroup, podLimit(spec), cpus);
  const containers = spec.containers.map((container) => {
    const own = containerCgroupPath(place, 'containerd', containerIdOf(spec, container));
    makeCgroup(own, weight(milliOf(container.request, cpus)));
    setLimit(own, container.limit, cpus);
    return { spec: container, cgroup: own };
  });
  return { spec, cgroup, cgroupId: cgroupId(cgroup), containers };
};

/** kubelet sets a QoS class's weight from the sum of its pods' requests; here equal pods make it their number. */
const weighClasses = (pods: readonly PodSpec[], cpus: number, weights: Weights): void => {
  for (const qos of ['burstable', 'besteffort'] as const) {
    const own = pods.filter((pod) => qosOf(pod, cpus) === qos);
    if (own.length === 0) continue;
    const milli = own.reduce((sum, pod) => sum + podMilli(pod, cpus), 0);
    const weight = weights === 'equal' ? Math.min(100 * own.length, WEIGHT_MAX) : weightOf(milli);
    makeCgroup(`${PODS_ROOT}/kubepods-${qos}.slice`, weight);
  }
};

const cpuQuantity = (share: number, cpus: number): string => `${milliOf(share, cpus)}m`;

const manifestOf = (pod: NodePod, cpus: number): unknown => {
  const { spec } = pod;
  const annotations = {
    ...(spec.budgetMs === undefined ? {} : { 'scx-slo.io/budget-ms': String(spec.budgetMs) }),
    ...(spec.importance === undefined ? {} : { 'scx-slo.io/importance': String(spec.importance) }),
  };
  const containers = spec.containers.map(({ name, request, limit }) => ({
    name,
    image: 'bench',
    resources: {
      ...(request === undefined ? {} : { requests: { cpu: cpuQuantity(request, cpus) } }),
      ...(limit === undefined ? {} : { limits: { cpu: cpuQuantity(limit, cpus) } }),
    },
  }));
  const statuses = spec.containers.map((container) => ({
    name: container.name,
    containerID: `containerd://${containerIdOf(spec, container)}`,
    ready: true,
    state: { running: {} },
  }));
  const qosClass = qosOf(spec, cpus) === 'burstable' ? 'Burstable' : 'BestEffort';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: spec.name, namespace: 'bench', uid: uidOf(spec.name), annotations },
    spec: { containers },
    status: { phase: 'Running', qosClass, podIPs: [], containerStatuses: statuses },
  };
};

/** Every pod on the node and, as a manifest, in `podsDir`. Call it once the last pods are removed. */
export const makePods = (
  specs: readonly PodSpec[],
  options: { cpus: number; weights: Weights; podsDir: string },
): NodePod[] => {
  const { cpus, weights, podsDir } = options;
  weighClasses(specs, cpus, weights);
  const pods = specs.map((spec) => makePod(spec, cpus, weights));
  mkdirSync(podsDir, { recursive: true });
  // One List a hundred pods: files are read one by one, and each costs the agent a look.
  for (let first = 0; first < pods.length; first += 100) {
    const items = pods.slice(first, first + 100).map((pod) => manifestOf(pod, cpus));
    writeFileSync(
      join(podsDir, `pods-${first}.json`),
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    );
  }
  return pods;
};

/** Ends what runs in the pods; their cgroups stay. */
export const killPods = (): void => writeFileSync(`${cgroupDir(PODS_ROOT)}/cgroup.kill`, '1');

export const removePods = async (pods: readonly NodePod[], podsDir: string): Promise<void> => {
  rmSync(podsDir, { recursive: true, force: true });
  if (pods.length > 0) killPods();
  await removeCgroups(pods.flatMap((pod) => [...pod.containers.map(({ cgroup }) => cgroup), pod.cgroup]));
  await removeCgroups(
    [...new Set(pods.map((pod) => dirname(pod.cgroup)))].filter((path) => path !== PODS_ROOT),
  );
};

/** All pods at once: stopped in their tracks, or going on. */
export const freezePods = (frozen: boolean): void =>
  writeFileSync(`${cgroupDir(PODS_ROOT)}/cgroup.freeze`, frozen ? '1' : '0');

export const slosOf = (pods: readonly NodePod[]): NodePod[] => pods.filter(({ spec }) => hasSlo(spec));

export const PODS_STAT = `${cgroupDir(PODS_ROOT)}/cpu.stat`;
