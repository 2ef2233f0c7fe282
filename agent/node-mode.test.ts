import { describe, expect, it } from 'vitest';
import { failure } from './failure.ts';
import type { Preflight } from './kernel/port.ts';
import { modeOf, nextText, reasonOfFailure, reasonWhileAway } from './node-mode.ts';

const preflight = (canObserve: boolean, canEnforce: boolean): Preflight => ({
  canObserve,
  canEnforce,
  reasons: canEnforce ? [] : [{ code: 'IsolatedCpus', message: 'isolcpus=1', hint: 'boot without' }],
  kernel: '7.3',
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

describe('while the scheduler is away', () => {
  const failed = { code: 'AttachHang' as const, message: 'it failed', hint: 'do this' };

  it('names what is wrong by a stable code', () => {
    expect(reasonOfFailure(failure('SLO_E_OTHER_SCHEDULER', 'a', 'b', 'c')).code).toBe('OtherScheduler');
    expect(reasonOfFailure(failure('SLO_E_ANYTHING', 'a', 'b', 'c'))).toEqual({
      code: 'LoadFailed',
      message: 'a: b',
      hint: 'c',
    });
  });

  it.each([
    [{ action: 'reload', delayMs: 0 }, 'HotplugReload', 'at once'],
    [{ action: 'reload', delayMs: 60_000 }, 'HotplugReload', 'in 60 s'],
    [{ action: 'backOff', delayMs: 9_100 }, 'BackOff', 'in 10 s'],
    [{ action: 'lookAgain', delayMs: 60_000 }, 'OtherScheduler', 'every minute'],
    [{ action: 'stayOff', why: 'operator' }, 'TurnedOff', 'until the agent is restarted'],
    [{ action: 'stayOff', why: 'repeated-failure' }, 'RepeatedFailure', 'until the agent is restarted'],
    [{ action: 'stayOff', why: 'hopeless' }, 'AttachHang', 'until the agent is restarted'],
  ] as const)('%j is %s, and says %s', (decision, code, text) => {
    const reason = reasonWhileAway(decision, failed);
    expect(reason).toMatchObject({ code, message: 'it failed' });
    expect(reason.hint).not.toBe('');
    expect(nextText(decision)).toContain(text);
  });
});
