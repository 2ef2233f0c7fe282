/** The node's cgroups as systemd and kubelet lay them out; created here, because the VM has neither. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { weightOf } from './pod.ts';

export const CGROUP_ROOT = '/sys/fs/cgroup';
const SYSTEM = '/system.slice';
const PODS = '/kubepods.slice';

/** `/kubepods.slice/...` -> where its files are. */
export const cgroupDir = (path: string): string => `${CGROUP_ROOT}${path}`;

export const cgroupId = (path: string): number => statSync(cgroupDir(path)).ino;

/** Creates a cgroup and its missing parents, with the cpu controller on all the way. */
export const makeCgroup = (path: string, weight?: number): void => {
  const dir = cgroupDir(path);
  if (dir !== CGROUP_ROOT && !existsSync(dir)) {
    makeCgroup(dirname(path) === '/' ? '' : dirname(path));
    writeFileSync(`${dirname(dir)}/cgroup.subtree_control`, '+cpu');
    mkdirSync(dir);
  }
  if (weight !== undefined) writeFileSync(`${dir}/cpu.weight`, String(weight));
};

/** Kills everything in a cgroup and removes it with the cgroups below it that `paths` lists first. */
export const removeCgroups = async (paths: readonly string[]): Promise<void> => {
  for (const path of paths) {
    if (!existsSync(cgroupDir(path))) continue;
    writeFileSync(`${cgroupDir(path)}/cgroup.kill`, '1');
    // A cgroup stays busy until the last exiting task has left it.
    for (let tries = 0; tries < 200; tries += 1) {
      try {
        rmdirSync(cgroupDir(path));
        break;
      } catch {
        await sleep(10);
      }
    }
  }
};

/** The cgroup for everything that is not a pod: this process, the webhook, the agent, the load generator. */
export const systemCgroup = (name: string): string => `${SYSTEM}/${name}`;

export const AGENT_CGROUP = systemCgroup('scx-slo-agent.service');

/**
 * Makes kubepods.slice for `cpus` CPUs and moves the processes that are still in the root into system.slice.
 * Throws where the node has a kubepods.slice: a real kubelet is there, and its pods are not for demos.
 */
export const openNodeCgroups = (cpus: number): void => {
  if (existsSync(cgroupDir(PODS))) {
    throw new Error(`${cgroupDir(PODS)} exists already: this node runs pods, the demo will not touch it`);
  }
  makeCgroup(PODS, weightOf(cpus * 1000));
  makeCgroup(systemCgroup('demo.scope'));
  for (const pid of readFileSync(`${CGROUP_ROOT}/cgroup.procs`, 'utf8').split('\n')) {
    try {
      if (pid !== '') writeFileSync(`${cgroupDir(systemCgroup('demo.scope'))}/cgroup.procs`, pid);
    } catch {
      // Kernel threads stay in the root.
    }
  }
};

/** Ends the agent too, should it still run, and with it its scheduler. */
export const closeNodeCgroups = (): Promise<void> =>
  removeCgroups([AGENT_CGROUP, `${PODS}/kubepods-burstable.slice`, PODS]);

/** Every cgroup at the top that is not the pods': what the rest of the node lives in. */
export const otherCgroups = (): string[] =>
  readdirSync(CGROUP_ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && `/${entry.name}` !== PODS)
    .map((entry) => `/${entry.name}`);
