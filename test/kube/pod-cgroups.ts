/** Cgroups as kubelet would make them for a pod, in a part of this machine's hierarchy that is the run's own. */

import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { findCgroup2Mount } from '../../agent/kernel/cgroup2-mount.ts';
import {
  containerCgroupPath,
  type PodPlace,
  podCgroupPath,
  type RuntimeName,
} from '../fakes/kubelet-cgroups.ts';
import { eventually } from './eventually.ts';

export class PodCgroups {
  /** Where cgroup v2 is mounted. */
  readonly mount: string;
  /** As a host sees what a node in a container has: `/scx-slo-kube-<pid>/kubepods...`. */
  readonly prefix: string;

  constructor() {
    const mount = findCgroup2Mount(readFileSync('/proc/self/mountinfo', 'utf8'));
    if (mount === undefined) throw new Error('cgroup v2 is not mounted');
    this.mount = mount;
    this.prefix = `/scx-slo-kube-${process.pid}`;
  }

  /** @returns path and id of the pod's cgroup, which is there now */
  create(
    place: Omit<PodPlace, 'prefix'>,
    runtime: RuntimeName,
    containerId: string,
  ): { path: string; id: bigint; leaf: string } {
    const whole = { ...place, prefix: this.prefix };
    const path = podCgroupPath(whole);
    const leaf = containerCgroupPath(whole, runtime, containerId);
    mkdirSync(join(this.mount, leaf), { recursive: true });
    return { path, leaf, id: statSync(join(this.mount, path), { bigint: true }).ino };
  }

  /** Runs a shell script in the cgroup until the cgroup is removed. */
  run(path: string, script: string): void {
    const enter = 'echo 0 > "$0/cgroup.procs" && exec sh -c "$1"';
    const command = ['--pdeathsig', 'KILL', 'sh', '-c', enter, join(this.mount, path), script];
    spawn('setpriv', command, { stdio: 'ignore' });
  }

  /** Removes a pod's cgroup with all below it, as when the pod has ended. */
  async remove(path: string): Promise<void> {
    const dir = join(this.mount, path);
    writeFileSync(join(dir, 'cgroup.kill'), '1');
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      if (entry.isDirectory()) await this.remove(join(path, entry.name));
    }
    // What has been killed needs a moment to leave.
    await eventually(`${path} is empty`, async () => {
      rmdirSync(dir);
      return true;
    });
  }

  async removeAll(): Promise<void> {
    if (existsSync(join(this.mount, this.prefix))) await this.remove(this.prefix);
  }
}
