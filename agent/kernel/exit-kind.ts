/**
 * What an exit record means. Kinds and codes are the kernel's (kernel/sched/ext_internal.h: enum scx_exit_kind,
 * enum scx_exit_code); they are part of its interface and the same from 6.12 on.
 */
import type { ExitInfo } from './port.ts';

export const EXIT_KIND = {
  NONE: 0,
  /** The link was closed: by us, or by somebody with bpftool. */
  UNREG: 64,
  UNREG_BPF: 65,
  UNREG_KERN: 66,
  /** SysRq-S. */
  SYSRQ: 67,
  ERROR: 1024,
  ERROR_BPF: 1025,
  ERROR_STALL: 1026,
} as const;

/** SCX_ECODE_ACT_RESTART: the kernel asks to be loaded again; its only cause so far is CPU hotplug. */
const ACT_RESTART = 1n << 48n;

/** Values of the label `reason` of scx_slo_scheduler_exits_total: stable, and no more than these. */
export const EXIT_CLASSES = ['hotplug', 'sysrq', 'stall', 'error', 'other'] as const;
export type ExitClass = (typeof EXIT_CLASSES)[number];

export const isRestartAsked = ({ exitCode }: Pick<ExitInfo, 'exitCode'>): boolean =>
  (exitCode & ACT_RESTART) !== 0n;

export const exitClass = (exit: Pick<ExitInfo, 'kind' | 'exitCode'>): ExitClass => {
  if (isRestartAsked(exit)) return 'hotplug';
  if (exit.kind === EXIT_KIND.SYSRQ) return 'sysrq';
  if (exit.kind === EXIT_KIND.ERROR_STALL) return 'stall';
  return exit.kind >= EXIT_KIND.ERROR ? 'error' : 'other';
};

export const exitText = (exit: Pick<ExitInfo, 'kind' | 'reason' | 'message'>): string =>
  [exit.reason || `exit kind ${exit.kind}`, exit.message].filter((part) => part !== '').join(': ');
