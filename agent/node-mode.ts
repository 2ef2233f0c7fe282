/** Which mode the node runs in, and why it is not another. Pure. */
import type { Failure } from './failure.ts';
import type { Mode, Preflight, PreflightCode } from './kernel/port.ts';
import type { Decision } from './restart-policy.ts';

/** `unsupported`: nothing can be measured here; the agent stays up and says so. */
export type NodeModeName = Mode | 'unsupported';

/** What preflight says, or what became of a scheduler that could be loaded. A label value: no other text. */
export type ModeCode = PreflightCode | 'HotplugReload' | 'BackOff' | 'TurnedOff' | 'RepeatedFailure';

export interface ModeReason {
  code: ModeCode;
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

const AGAIN = 'it is loaded again by itself; `scx-slo doctor --dump` shows what happened';

/** After the scheduler left or did not load: the reason that people see while it is away. */
export const reasonWhileAway = (decision: Decision, failed: ModeReason): ModeReason => {
  const { message } = failed;
  if (decision.action === 'reload') return { code: 'HotplugReload', message, hint: AGAIN };
  if (decision.action === 'backOff') return { code: 'BackOff', message, hint: AGAIN };
  if (decision.action === 'lookAgain') return { ...failed, code: 'OtherScheduler' };
  if (decision.why === 'hopeless') return failed;
  if (decision.why === 'operator')
    return { code: 'TurnedOff', message, hint: 'restart the agent to enforce again' };
  const hint = 'see `scx-slo doctor --dump`; restart the agent to enforce again';
  return { code: 'RepeatedFailure', message, hint };
};

const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;

/** What happens next, for the end of a sentence. */
export const nextText = (decision: Decision): string => {
  if (decision.action === 'stayOff') return 'it stays off until the agent is restarted';
  if (decision.action === 'lookAgain') return 'looking again every minute';
  return decision.delayMs > 0
    ? `it is loaded again in ${seconds(decision.delayMs)}`
    : 'it is loaded again at once';
};
