// Pods as kubelet makes them: QoS slices, a cgroup for each pod and each container, with cpu.weight from requests and
// cpu.max from limits, and a manifest for each in the agent's --pods-dir.
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { QosClass } from '../../../agent/cgroups/cgroup-path.ts';
import {
  type CgroupDriver,
  containerCgroupPath,
  cpuMaxOf,
  cpuWeightOf,
  type PodPlace,
  podCgroupPath,
} from '../../fakes/kubelet-cgroups.ts';
import { GuestCgroup } from './guest-cgroup.ts';

/** Of one container; a limit without a request is the request too, as in Kubernetes. */
export interface Cpu {
  readonly requestMilli?: number;
  readonly limitMilli?: number;
}

export interface PodShape {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly driver?: CgroupDriver;
  /** By name; one without resources, `main`, where there is none. */
  readonly containers?: Readonly<Record<string, Cpu>>;
}

const requestOf = (cpu: Cpu): number => cpu.requestMilli ?? cpu.limitMilli ?? 0;

/** As Kubernetes classes pods, by CPU alone. */
const qosOf = (containers: readonly Cpu[]): QosClass => {
  if (containers.every((cpu) => requestOf(cpu) === 0)) return 'besteffort';
  return containers.every((cpu) => cpu.limitMilli !== undefined && requestOf(cpu) === cpu.limitMilli)
    ? 'guaranteed'
    : 'burstable';
};

export class KubeletPod {
  readonly name: string;
  readonly uid: string = randomUUID();
  readonly qos: QosClass;
  readonly cgroup: GuestCgroup;
  readonly #containers = new Map<string, { id: string; cgroup: GuestCgroup; cpu: Cpu }>();
  readonly #annotations: Readonly<Record<string, string>>;

  constructor(name: string, { annotations = {}, driver = 'systemd', containers = { main: {} } }: PodShape) {
    this.name = name;
    this.#annotations = annotations;
    this.qos = qosOf(Object.values(containers));
    const place: PodPlace = { driver, qos: this.qos, uid: this.uid };
    this.cgroup = new GuestCgroup(podCgroupPath(place));
    for (const [container, cpu] of Object.entries(containers)) {
      const id = randomBytes(32).toString('hex');
      const cgroup = new GuestCgroup(containerCgroupPath(place, 'containerd', id));
      this.#containers.set(container, { id, cgroup, cpu });
    }
    this.#writeCpu();
  }

  /** Its only container's, or that of the name. */
  container(name = 'main'): GuestCgroup {
    const found = this.#containers.get(name);
    if (found === undefined) throw new Error(`pod ${this.name} has no container ${name}`);
    return found.cgroup;
  }

  get requestMilli(): number {
    return this.#sum(requestOf);
  }

  /** In-place resize: what kubelet writes for a container's new resources. The QoS class stays, as in Kubernetes. */
  resize(cpu: Cpu, name = 'main'): void {
    const found = this.#containers.get(name);
    if (found === undefined) throw new Error(`pod ${this.name} has no container ${name}`);
    found.cpu = cpu;
    this.#writeCpu();
  }

  manifest(): object {
    const amounts = (milli: number | undefined) => (milli === undefined ? {} : { cpu: `${milli}m` });
    const containers = [...this.#containers].map(([name, { cpu }]) => ({
      name,
      image: 'none',
      resources: { requests: amounts(cpu.requestMilli), limits: amounts(cpu.limitMilli) },
    }));
    const containerStatuses = [...this.#containers].map(([name, { id }]) => ({
      name,
      containerID: `containerd://${id}`,
    }));
    const { name, uid } = this;
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'vm', uid, annotations: this.#annotations },
      spec: { containers },
      status: { podIPs: [], containerStatuses },
    };
  }

  #sum(of: (cpu: Cpu) => number): number {
    return [...this.#containers.values()].reduce((sum, { cpu }) => sum + of(cpu), 0);
  }

  #writeCpu(): void {
    for (const { cgroup, cpu } of this.#containers.values()) {
      cgroup.write('cpu.weight', cpuWeightOf(requestOf(cpu)));
      cgroup.write('cpu.max', cpuMaxOf(cpu.limitMilli));
    }
    const limited = [...this.#containers.values()].every(({ cpu }) => cpu.limitMilli !== undefined);
    this.cgroup.write('cpu.weight', cpuWeightOf(this.requestMilli));
    this.cgroup.write('cpu.max', cpuMaxOf(limited ? this.#sum((cpu) => cpu.limitMilli ?? 0) : undefined));
  }
}

export class KubeletNode {
  readonly podsDir = mkdtempSync('/tmp/kubelet-');
  readonly #pods = new Set<KubeletPod>();

  /** kubelet makes the QoS slices when it starts, and never removes them. */
  constructor() {
    for (const qos of ['burstable', 'besteffort']) new GuestCgroup(`/kubepods.slice/kubepods-${qos}.slice`);
  }

  /** Nothing runs in the pod yet. */
  add(name: string, shape: PodShape): KubeletPod {
    const pod = new KubeletPod(name, shape);
    this.#pods.add(pod);
    this.#announce(pod);
    return pod;
  }

  resize(pod: KubeletPod, cpu: Cpu, container?: string): void {
    pod.resize(cpu, container);
    this.#announce(pod);
  }

  async remove(pod: KubeletPod): Promise<void> {
    rmSync(this.#fileOf(pod), { force: true });
    await pod.cgroup.remove();
    this.#pods.delete(pod);
    this.#writeQosWeights();
  }

  async clear(): Promise<void> {
    for (const pod of [...this.#pods]) await this.remove(pod);
  }

  async close(): Promise<void> {
    await this.clear();
    rmSync(this.podsDir, { recursive: true, force: true });
  }

  #fileOf(pod: KubeletPod): string {
    return join(this.podsDir, `${pod.name}.json`);
  }

  #announce(pod: KubeletPod): void {
    writeFileSync(this.#fileOf(pod), JSON.stringify(pod.manifest()));
    this.#writeQosWeights();
  }

  /** Burstable: the sum of its pods' requests; best effort: the least there is. */
  #writeQosWeights(): void {
    const requestMilli = new Map<string, number>();
    for (const pod of this.#pods) {
      if (pod.qos === 'guaranteed') continue;
      const slice = dirname(pod.cgroup.dir);
      requestMilli.set(slice, (requestMilli.get(slice) ?? 0) + pod.requestMilli);
    }
    for (const [slice, milli] of requestMilli)
      writeFileSync(join(slice, 'cpu.weight'), `${cpuWeightOf(milli)}`);
  }
}
