import { describe, expect, it } from 'vitest';
import { failure } from './failure.ts';
import type { ExitInfo, Preflight } from './kernel/port.ts';
import { modeOf, reasonOfExit, reasonOfFailure, reloadPauseMs } from './node-mode.ts';

const preflight = (canObserve: boolean, canEnforce: boolean): Preflight => ({
  canObserve,
  canEnforce,
  reasons: canEnforce ? [] : [{ code: 'IsolatedCpus', message: 'isolcpus=1', hint: 'boot without' }],
  kernel: '7.3',
});

const exit = (exitCode: bigint): ExitInfo => ({
  kind: 1026,
  exitCode,
  reason: 'runnable task stall',
  message: 'x',
});

describe('modeOf', () => {
  it('never gives more than what was asked for, nor than what the node can', () => {
    expect(modeOf('enforce', preflight(true, true))).toMatchObject({ mode: 'enforce', reason: undefined });
    expect(modeOf('observe', preflight(true, true)).mode).toBe('observe');
    expect(modeOf('observe', preflight(true, false))).toMatchObject({ mode: 'observe', reason: undefined });
    expect(modeOf('enforce', preflight(true, false))).toMatchObject({
      mode: 'advisory',
      reason: { code: 'IsolatedCpus' },
    });
    expect(modeOf('advisory', preflight(false, false)).mode).toBe('unsupported');
  });
});

describe('after the scheduler left', () => {
  it('loads again soon after a hotplug, but not for ever', () => {
    const history = { hotplugReloads: 0, retries: 0 };
    const pauses = Array.from({ length: 12 }, () => reloadPauseMs(exit(1n << 48n), history));
    expect(pauses.filter((pause) => pause === 500)).toHaveLength(10);
    expect(pauses.at(-1)).toBeUndefined();
  });

  it('tries once more after any other exit, then stays off', () => {
    const history = { hotplugReloads: 0, retries: 0 };
    expect(reloadPauseMs(exit(0n), history)).toBe(10_000);
    expect(reloadPauseMs(exit(0n), history)).toBeUndefined();
  });

  it('gives reasons with stable codes', () => {
    expect(reasonOfExit(exit(0n))).toMatchObject({
      code: 'SchedulerExited',
      message: 'the scheduler left: runnable task stall: x',
    });
    expect(reasonOfFailure(failure('SLO_E_OTHER_SCHEDULER', 'a', 'b', 'c')).code).toBe('OtherScheduler');
    expect(reasonOfFailure(failure('SLO_E_ANYTHING', 'a', 'b', 'c'))).toEqual({
      code: 'LoadFailed',
      message: 'a: b',
      hint: 'c',
    });
  });
});
