/** Everything about this node that decides what can run here, read once; preflight.ts judges it. */
import type { Failure } from '../failure.ts';
import { findCgroup2Mount } from './cgroup2-mount.ts';
import { readSchedExtState, type SchedExtState } from './sched-ext-state.ts';
import type { Sysfs } from './sysfs.ts';
import { type KernelTypes, readKernelTypes } from './vmlinux-btf.ts';

export interface NodeFacts {
  /** uname -r. */
  kernel: string;
  /** CapEff of this process; undefined: unreadable. */
  capabilities: bigint | undefined;
  /** undefined: no BTF; Failure: broken BTF. */
  types: KernelTypes | Failure | undefined;
  /** undefined: no sched_ext. */
  schedExt: SchedExtState | undefined;
  /** Mount point of cgroup v2; undefined: none. */
  cgroup2: string | undefined;
  /** The cpu controller belongs to v2, not to a v1 hierarchy beside it. */
  cpuControllerV2: boolean;
  /** /proc/cmdline. */
  commandLine: string;
  /** A cgroup under the pods with a CPU limit (cpu.max), where there is one. */
  limitedCgroup: string | undefined;
}

/** Where kubelet keeps pods, for its two cgroup drivers. */
const POD_ROOTS = ['kubepods', 'kubepods.slice'];
/** More than kubelet's 110 pods a node have in all; bounds the walk on a broken tree. */
const MAX_CGROUPS = 20_000;

/** First cgroup below `root` whose cpu.max is not `max`. */
const findLimited = (sysfs: Sysfs, root: string): string | undefined => {
  const queue = [root];
  for (let seen = 0; queue.length > 0 && seen < MAX_CGROUPS; seen++) {
    const folder = queue.pop() as string;
    const max = sysfs.text(`${folder}/cpu.max`);
    if (max !== undefined && !max.startsWith('max')) return folder;
    // every entry that is not a control file (they all have a dot: cpu.max) may be a cgroup
    for (const entry of sysfs.list(folder)) {
      const child = `${folder}/${entry}`;
      if (sysfs.exists(`${child}/cgroup.procs`)) queue.push(child);
    }
  }
  return undefined;
};

export const readNodeFacts = (sysfs: Sysfs, podRoots: readonly string[] = POD_ROOTS): NodeFacts => {
  const cgroup2 = findCgroup2Mount(sysfs.text('/proc/self/mountinfo') ?? '');
  const capabilities = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(sysfs.text('/proc/self/status') ?? '')?.[1];
  const controllers = (cgroup2 && sysfs.text(`${cgroup2}/cgroup.controllers`)) || '';
  const limited = cgroup2 ? podRoots.map((root) => findLimited(sysfs, `${cgroup2}/${root}`)) : [];
  return {
    kernel: sysfs.text('/proc/sys/kernel/osrelease') ?? 'unknown',
    capabilities: capabilities === undefined ? undefined : BigInt(`0x${capabilities}`),
    types: readKernelTypes(sysfs),
    schedExt: readSchedExtState(sysfs),
    cgroup2,
    cpuControllerV2: controllers.split(' ').includes('cpu'),
    commandLine: sysfs.text('/proc/cmdline') ?? '',
    limitedCgroup: limited.find((path) => path !== undefined),
  };
};
