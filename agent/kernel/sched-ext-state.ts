/** The kernel's own word on sched_ext: /sys/kernel/sched_ext. */
import type { Sysfs } from './sysfs.ts';

/** Name of our struct_ops, as bpf/scheduler.bpf.c sets it; the kernel shows it in root/ops. */
export const OPS_NAME = 'scx_slo';

const ROOT = '/sys/kernel/sched_ext';

export interface SchedExtState {
  /** `disabled`, `enabling`, `enabled` or `disabling`. */
  state: string;
  /** Name of the scheduler that runs; empty: none. */
  ops: string;
}

/** undefined: the kernel has no sched_ext. */
export const readSchedExtState = (sysfs: Sysfs): SchedExtState | undefined => {
  const state = sysfs.text(`${ROOT}/state`);
  return state === undefined ? undefined : { state, ops: sysfs.text(`${ROOT}/root/ops`) ?? '' };
};

export const isOurs = (ops: string): boolean => ops === OPS_NAME || ops.startsWith(`${OPS_NAME}_`);
