/** Which mode the node runs in, and what to do when the scheduler leaves. Pure. */
import type { Failure } from './failure.ts';
import type { ExitInfo, Mode, Preflight, PreflightCode } from './kernel/port.ts';

/** `unsupported`: nothing can be measured here; the agent stays up and says so. */
export type NodeModeName = Mode | 'unsupported';

export interface ModeReason {
  code: PreflightCode;
  message: string;
  hint: string;
}

export interface NodeMode {
  mode: NodeModeName;
  wanted: Mode;
  /** Why it is not what was wanted. */
  reason: ModeReason | undefined;
}

const UNKNOWN_REASON: ModeReason = {
  code: 'LoadFailed',
  message: 'the kernel side cannot run here',
  hint: 'see the log lines before this one',
};

export const modeOf = (wanted: Mode, preflight: Preflight): NodeMode => {
  const reason = preflight.reasons[0] ?? UNKNOWN_REASON;
  if (!preflight.canObserve) return { mode: 'unsupported', wanted, reason };
  if (wanted === 'enforce' && !preflight.canEnforce) return { mode: 'advisory', wanted, reason };
  return { mode: wanted, wanted, reason: undefined };
};

const CODE_OF_FAILURE: Readonly<Record<string, PreflightCode>> = {
  SLO_E_OTHER_SCHEDULER: 'OtherScheduler',
  SLO_E_ATTACH_HANG: 'AttachHang',
};

export const reasonOfFailure = (failure: Failure): ModeReason => ({
  code: CODE_OF_FAILURE[failure.code] ?? 'LoadFailed',
  message: `${failure.what}: ${failure.why}`,
  hint: failure.next,
});

export const exitText = (exit: ExitInfo): string =>
  [exit.reason || `kind ${exit.kind}`, exit.message].filter((part) => part !== '').join(': ');

export const reasonOfExit = (exit: ExitInfo): ModeReason => ({
  code: 'SchedulerExited',
  message: `the scheduler left: ${exitText(exit)}`,
  hint: 'see the log and scx_slo_scheduler_exits_total; restart the agent to enforce again',
});

/** SCX_ECODE_ACT_RESTART (include/linux/sched/ext.h): CPUs came or went, load again. */
const RESTART = 1n << 48n;
const HOTPLUG_PAUSE_MS = 500;
const RETRY_PAUSE_MS = 10_000;
/** Who hotplugs more often than this is not helped by reloading. */
const MAX_HOTPLUG_RELOADS = 10;

export interface ExitHistory {
  hotplugReloads: number;
  retries: number;
}

/** @returns how long to wait before the scheduler is loaded again; undefined: leave it off. */
export const reloadPauseMs = (exit: ExitInfo, history: ExitHistory): number | undefined => {
  if ((exit.exitCode & RESTART) !== 0n) {
    if (history.hotplugReloads >= MAX_HOTPLUG_RELOADS) return undefined;
    history.hotplugReloads += 1;
    return HOTPLUG_PAUSE_MS;
  }
  if (history.retries >= 1) return undefined;
  history.retries += 1;
  return RETRY_PAUSE_MS;
};
