// Pods as kubelet leaves them on a node: a cgroup, processes in it, and a manifest in the agent's --pods-dir.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type CgroupDriver, podCgroupPath } from '../../fakes/kubelet-cgroups.ts';
import { eventually } from './agent-process.ts';

const ROOT = '/sys/fs/cgroup';

export interface GuestPod {
  readonly name: string;
  readonly uid: string;
  readonly cgroup: string;
  readonly cgroupId: string;
  readonly tasks: ChildProcess[];
}

/** Every level hands the cpu controller on, as kubelet sets it up: the pod has cpu.weight and cpu.max. */
const makeTree = (dir: string): void => {
  if (dir !== ROOT) makeTree(dirname(dir));
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'cgroup.subtree_control'), '+cpu');
};

export class GuestNode {
  readonly podsDir = mkdtempSync('/tmp/pods-');
  readonly #pods: GuestPod[] = [];

  /** Creates the pod's cgroup and, with `annotations`, its manifest; nothing runs in it yet. */
  add(
    name: string,
    annotations: Record<string, string> | undefined,
    driver: CgroupDriver = 'systemd',
    podIPs: readonly string[] = [],
  ): GuestPod {
    const uid = randomUUID();
    const cgroup = podCgroupPath({ driver, qos: 'burstable', uid });
    const dir = `${ROOT}${cgroup}`;
    makeTree(dirname(dir));
    mkdirSync(dir);
    const pod: GuestPod = { name, uid, cgroup, cgroupId: String(statSync(dir).ino), tasks: [] };
    this.#pods.push(pod);
    if (annotations) {
      const manifest = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'vm', uid, annotations },
        spec: { containers: [{ name: 'main', image: 'none', resources: { requests: { cpu: '200m' } } }] },
        status: { podIPs: podIPs.map((ip) => ({ ip })) },
      };
      writeFileSync(join(this.podsDir, `${name}.json`), JSON.stringify(manifest));
    }
    return pod;
  }

  /** Starts `count` endless loops in the pod. */
  spin(pod: GuestPod, count: number): void {
    this.run(pod, count, 'while :; do :; done');
  }

  run(pod: GuestPod, count: number, script: string): void {
    const joinAndRun = `echo 0 > ${ROOT}${pod.cgroup}/cgroup.procs; ${script}`;
    for (let i = 0; i < count; i += 1) pod.tasks.push(spawn('sh', ['-c', joinAndRun], { stdio: 'ignore' }));
  }

  alive(pod: GuestPod): number {
    return pod.tasks.filter((task) => task.exitCode === null && task.signalCode === null).length;
  }

  async remove(pod: GuestPod): Promise<void> {
    rmSync(join(this.podsDir, `${pod.name}.json`), { force: true });
    writeFileSync(`${ROOT}${pod.cgroup}/cgroup.kill`, '1');
    await eventually(`the cgroup of ${pod.name} is empty`, () => {
      try {
        rmdirSync(`${ROOT}${pod.cgroup}`);
        return true;
      } catch {
        return undefined;
      }
    });
    this.#pods.splice(this.#pods.indexOf(pod), 1);
  }

  async clear(): Promise<void> {
    for (const pod of [...this.#pods]) await this.remove(pod);
  }

  async close(): Promise<void> {
    await this.clear();
    rmSync(this.podsDir, { recursive: true, force: true });
  }
}

/** What a node has to choose between: a service in a hurry, and batch without an SLO. */
export const addServiceAndBatch = (node: GuestNode): { api: GuestPod; batch: GuestPod } => ({
  api: node.add('api', { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/importance': '90' }),
  batch: node.add('batch', undefined),
});

/** Service processes that sleep and work in turns, beside busy loops. */
export const loadServiceAndBatch = (
  node: GuestNode,
  { api, batch }: ReturnType<typeof addServiceAndBatch>,
  count: { services: number; loops: number },
): void => {
  const work = 'while :; do i=0; while [ $i -lt 200 ]; do i=$((i+1)); done; sleep 0.01; done';
  node.run(api, count.services, work);
  node.spin(batch, count.loops);
};
