/** A node of the cluster with the real agent on it; the kubelet's part of the work is the test's. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type NodeView, type PodView, type RunningAgent, startAgent } from './agent-process.ts';
import type { Cluster } from './cluster.ts';
import { eventually } from './eventually.ts';
import { kernelSlots } from './kernel-slots.ts';
import { bindPod, createNode, removeNode, reportRunning } from './nodes.ts';
import { getPod, podObject, podPath, type Texts } from './objects.ts';
import { PodAccount } from './pod-account.ts';
import { PodCgroups } from './pod-cgroups.ts';

export interface PlacedPod {
  namespace: string;
  name: string;
  uid: string;
  /** Of the pod's cgroup, from the hierarchy's root. */
  cgroup: string;
  cgroupId: bigint;
}

export class NodeUnderTest {
  readonly name: string;
  readonly cgroups = new PodCgroups();
  readonly account: PodAccount;
  readonly #cluster: Cluster;
  #agent: RunningAgent | undefined;

  private constructor(cluster: Cluster, name: string, account: PodAccount) {
    this.#cluster = cluster;
    this.name = name;
    this.account = account;
  }

  static async create(cluster: Cluster, name: string): Promise<NodeUnderTest> {
    await createNode(cluster.plane.api, name);
    const account = await PodAccount.create(
      cluster.plane,
      'scx-slo-agent',
      join(cluster.dir, name, 'account'),
    );
    return new NodeUnderTest(cluster, name, account);
  }

  get agent(): RunningAgent {
    if (this.#agent === undefined) throw new Error('the agent does not run');
    return this.#agent;
  }

  async startAgent(...flags: string[]): Promise<void> {
    const { dir, logDir } = this.#cluster;
    this.#agent = await startAgent({
      nodeName: this.name,
      account: this.account,
      ...(flags.length === 0 ? {} : { flags }),
      dir: join(dir, this.name),
      logFile: join(logDir, `agent-${this.name}.log`),
    });
  }

  async stop(): Promise<void> {
    await this.#agent?.stop();
    await this.cgroups.removeAll();
    await removeNode(this.#cluster.plane.api, this.name);
  }

  /** kubectl apply, and bound to this node. @returns the pod's UID */
  async applyPod(namespace: string, name: string, annotations: Texts, more = {}): Promise<string> {
    const { kubectl, plane } = this.#cluster;
    const result = await kubectl(
      ['apply', '-f', '-'],
      [podObject({ namespace, name, annotations, schedulerName: 'test', ...more })],
    );
    if (result.code !== 0) throw new Error(result.stderr.join('\n'));
    await bindPod(plane.api, namespace, name, this.name);
    return (await getPod(plane.api, namespace, name)).metadata.uid ?? '';
  }

  /** What a kubelet does when containers start: cgroups, then the status. */
  async run(namespace: string, name: string, uid: string): Promise<PlacedPod> {
    const containerId = randomBytes(32).toString('hex');
    const { path, id } = this.cgroups.create(
      { driver: 'systemd', qos: 'besteffort', uid },
      'containerd',
      containerId,
    );
    await reportRunning(this.#cluster.plane.api, namespace, name, {
      podIp: '127.0.0.1',
      containers: { app: containerId },
    });
    return { namespace, name, uid, cgroup: path, cgroupId: id };
  }

  async place(namespace: string, name: string, annotations: Texts): Promise<PlacedPod> {
    return await this.run(namespace, name, await this.applyPod(namespace, name, annotations));
  }

  /** Resolves when the kernel's map and the agent's page say the same slot for the pod. */
  async slotted({ namespace, name, cgroupId }: PlacedPod, limitMs?: number): Promise<PodView> {
    return await eventually(
      `${namespace}/${name} has a slot in the kernel`,
      async () => {
        const slot = this.slots().get(cgroupId);
        const view = await this.agent.pod(namespace, name);
        return view !== undefined && view.slot === slot && view.cgroupId === String(cgroupId)
          ? view
          : undefined;
      },
      limitMs,
    );
  }

  slots(): Map<bigint, number> {
    return kernelSlots(this.agent.program.pid ?? 0);
  }

  view(): Promise<NodeView> {
    return this.agent.view();
  }

  /** As a kubelet ends a pod: its cgroup goes, then the object. */
  async end({ namespace, name, cgroup }: PlacedPod): Promise<void> {
    await this.cgroups.remove(cgroup);
    await this.#cluster.plane.api.remove(`${podPath(namespace, name)}?gracePeriodSeconds=0`);
  }
}
