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
}

export const readNodeFacts = (sysfs: Sysfs): NodeFacts => {
  const cgroup2 = findCgroup2Mount(sysfs.text('/proc/self/mountinfo') ?? '');
  const capabilities = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(sysfs.text('/proc/self/status') ?? '')?.[1];
  const controllers = (cgroup2 && sysfs.text(`${cgroup2}/cgroup.controllers`)) || '';
  return {
    kernel: sysfs.text('/proc/sys/kernel/osrelease') ?? 'unknown',
    capabilities: capabilities === undefined ? undefined : BigInt(`0x${capabilities}`),
    types: readKernelTypes(sysfs),
    schedExt: readSchedExtState(sysfs),
    cgroup2,
    cpuControllerV2: controllers.split(' ').includes('cpu'),
    commandLine: sysfs.text('/proc/cmdline') ?? '',
  };
};
