/** What the running kernel's BTF says about sched_ext. The 5 MB are parsed and let go at once. */
import { type Failure, isFailure } from '../failure.ts';
import { parseBtf } from './btf.ts';
import type { Sysfs } from './sysfs.ts';

export interface KernelTypes {
  /** Members of the kernel's struct sched_ext_ops; empty: no sched_ext. */
  opsMembers: string[];
  /** Parameters of scx_bpf_create_dsq; 2, or 3 where a broken build leaks an implicit one; undefined: none. */
  createDsqParameters: number | undefined;
  /** Functions of the enable path that run in a worker of their own: the fix for CVE-2026-43392. */
  enableWorkers: string[];
  /** A deadline server keeps CPU time for sched_ext beside realtime tasks (7.0). */
  hasExtServer: boolean;
}

const VMLINUX_BTF = '/sys/kernel/btf/vmlinux';
/** 6.19: scx_enable_workfn; 7.3: scx_root_enable_workfn, scx_sub_enable_workfn. */
const ENABLE_WORKER = /^scx_(\w+_)?enable_workfn$/;

/** undefined: the kernel has no BTF; Failure: it has, and it is broken. */
export const readKernelTypes = (sysfs: Sysfs): KernelTypes | Failure | undefined => {
  const bytes = sysfs.bytes(VMLINUX_BTF);
  if (!bytes) return undefined;
  const btf = parseBtf(bytes);
  if (isFailure(btf)) return btf;
  return {
    opsMembers: btf.struct('sched_ext_ops')?.fields.map((field) => field.name) ?? [],
    createDsqParameters: btf.parameterCount('scx_bpf_create_dsq'),
    enableWorkers: btf.functions('scx_', ENABLE_WORKER),
    hasExtServer: btf.struct('rq')?.fields.some((field) => field.name === 'ext_server') ?? false,
  };
};
