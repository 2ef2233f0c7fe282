/** A node's pods, both sides of them: objects in the API server, and cgroups as kubelet and containerd make them. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findCgroup2Mount } from '../../../agent/kernel/cgroup2-mount.ts';
import { apiPodOf } from '../../fakes/api-pods.ts';
import type { FakeKubeApi } from '../../fakes/kube-api.ts';
import { containerCgroupPath, type PodPlace, podCgroupPath } from '../../fakes/kubelet-cgroups.ts';

export const NODE_NAME = 'load-node';
const NAMESPACES = 10;

export class LoadPod {
  readonly name: string;
  readonly namespace: string;
  readonly uid = randomUUID();
  readonly budgetMs: number;
  readonly containers: ReadonlyMap<string, string>;
  readonly #node: LoadNode;
  /** undefined: not made yet. */
  cgroupId: bigint | undefined;
  #revision = 0;

  constructor(node: LoadNode, number: number, containers: number) {
    this.#node = node;
    this.name = `pod-${number}`;
    this.namespace = `ns-${number % NAMESPACES}`;
    this.budgetMs = 5 + (number % 90);
    this.containers = new Map(
      Array.from({ length: containers }, (_, i) => [`c${i}`, randomBytes(32).toString('hex')]),
    );
  }

  /** One change in the API. @param phase how far kubelet has come with it. */
  apply(phase: 'bound' | 'running' | 'terminating'): void {
    this.#revision += 1;
    const pod = apiPodOf({
      name: this.name,
      namespace: this.namespace,
      uid: this.uid,
      nodeName: NODE_NAME,
      annotations: { 'scx-slo.io/budget-ms': String(this.budgetMs), 'scx-slo.io/importance': '70' },
      containers: Object.fromEntries(
        [...this.containers].map(([name, id]) => [name, phase === 'bound' ? undefined : id]),
      ),
    });
    if (phase === 'terminating') pod.metadata.deletionTimestamp = '2026-11-24T10:00:00Z';
    const conditions = [{ type: 'Ready', status: 'True', lastProbeTime: String(this.#revision) }];
    this.#node.api.store.apply('pods', { ...pod, status: { ...(pod.status as object), conditions } });
  }

  deleteObject(): void {
    this.#node.api.store.delete('pods', this.name, this.namespace);
  }

  createCgroups(): void {
    const { mount, prefix } = this.#node;
    const path = join(mount, podCgroupPath(this.#place(prefix)));
    mkdirSync(path, { recursive: true });
    this.cgroupId = statSync(path, { bigint: true }).ino;
    for (const id of this.containers.values())
      mkdirSync(join(mount, containerCgroupPath(this.#place(prefix), 'containerd', id)));
  }

  removeCgroups(): void {
    const { mount, prefix } = this.#node;
    for (const id of this.containers.values())
      rmdirSync(join(mount, containerCgroupPath(this.#place(prefix), 'containerd', id)));
    rmdirSync(join(mount, podCgroupPath(this.#place(prefix))));
    this.cgroupId = undefined;
  }

  #place(prefix: string): PodPlace {
    return { driver: 'systemd', qos: 'burstable', uid: this.uid, prefix };
  }
}

export class LoadNode {
  readonly api: FakeKubeApi;
  readonly mount: string;
  /** Of this run, below the hierarchy's root. */
  readonly prefix = `/scx-slo-load-${process.pid}`;
  readonly pods = new Set<LoadPod>();
  readonly #containers: number;
  #numbers = 0;

  constructor(api: FakeKubeApi, containers: number) {
    const mount = findCgroup2Mount(readFileSync('/proc/self/mountinfo', 'utf8'));
    if (mount === undefined) throw new Error('cgroup v2 is not mounted');
    this.mount = mount;
    this.api = api;
    this.#containers = containers;
    for (let i = 0; i < NAMESPACES; i += 1) api.store.apply('namespaces', { metadata: { name: `ns-${i}` } });
  }

  newPod(): LoadPod {
    this.#numbers += 1;
    const pod = new LoadPod(this, this.#numbers, this.#containers);
    this.pods.add(pod);
    return pod;
  }

  /** All cgroups of this run, the deepest first. */
  remove(): void {
    for (const pod of this.pods) if (pod.cgroupId !== undefined) pod.removeCgroups();
    let path = join(this.mount, this.prefix, 'kubepods.slice/kubepods-burstable.slice');
    for (; path !== this.mount; path = dirname(path)) rmdirSync(path);
  }
}
