import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CAN_ALL, FakeKernelSide } from '../test/fakes/kernel-side.ts';
import type { ExitRecord } from './exit-record.ts';
import { failure } from './failure.ts';
import type { ExitInfo, KernelSession, Mode } from './kernel/port.ts';
import type { NodeEvent } from './node-events.ts';
import { SessionKeeper } from './session-keeper.ts';

const MINUTE_MS = 60_000;
const STALL: ExitInfo = {
  kind: 1026,
  exitCode: 0n,
  reason: 'runnable task stall',
  message: 'sh[7] failed to run for 30.1s',
  dump: 'CPU states',
};
const HOTPLUG: ExitInfo = {
  kind: 66,
  exitCode: (1n << 48n) | (1n << 32n),
  reason: 'unregistered from the main kernel',
  message: 'cpu 1 going offline, exiting scheduler',
  dump: '',
};
const SYSRQ: ExitInfo = { kind: 67, exitCode: 0n, reason: 'disabled by sysrq-S', message: '', dump: '' };

let kernel: FakeKernelSide;
let keeper: SessionKeeper;
let events: NodeEvent[];
let exits: ExitRecord[];
/** What the listener holds; `undefined` for the moment between two sessions. */
let current: KernelSession | undefined;
let ends = 0;

const start = async (wanted: Mode = 'enforce') => {
  keeper = new SessionKeeper({
    kernel,
    wanted,
    events: { onMiss: () => undefined, onProblem: () => undefined },
    listener: {
      onSessionEnd: () => {
        ends += 1;
        current = undefined;
      },
      onSession: (session) => {
        current = session;
      },
      onSchedulerExit: (record) => exits.push(record),
    },
    nodeEvents: { emit: (event) => events.push(event) },
    log: pino({ level: 'silent' }),
  });
  await keeper.start();
};

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const leave = async (exit: ExitInfo) => {
  kernel.session.exitInfo = exit;
  await pass(300);
};
const modeNow = () => [keeper.mode.mode, keeper.mode.reason?.code];
const opened = (kind: 'observer' | 'scheduler') =>
  kernel.sessions.filter((each) => each.kind === kind).length;

beforeEach(() => {
  vi.useFakeTimers();
  kernel = new FakeKernelSide();
  events = [];
  exits = [];
  ends = 0;
  current = undefined;
});
afterEach(async () => {
  await keeper.stop();
  vi.useRealTimers();
});

describe('after an error', () => {
  it('observes at once, keeps the dump, and loads the scheduler again after a pause', async () => {
    await start();
    await pass(5_000);
    await leave(STALL);
    expect(modeNow()).toEqual(['advisory', 'BackOff']);
    expect(current?.kind).toBe('observer');
    expect(exits).toMatchObject([{ class: 'stall', dump: 'CPU states', kernel: '7.3.4-fake' }]);
    expect(exits[0]?.ranSeconds).toBeCloseTo(5.1, 0);
    expect(keeper.restart).toMatchObject({ action: 'backOff', failuresLastHour: 1 });
    expect(keeper.restart.inSeconds).toBeGreaterThan(7);
    await pass(7_000);
    expect(opened('scheduler')).toBe(1);
    await pass(6_000);
    expect(modeNow()).toEqual(['enforce', undefined]);
    expect(current?.kind).toBe('scheduler');
    expect(keeper.restart).toEqual({ action: 'none', inSeconds: 0, failuresLastHour: 1 });
    expect(events.map((event) => event.reason)).toEqual([
      'SchedExtEnabled',
      'SchedExtEjected',
      'SchedExtEnabled',
    ]);
    expect(events[1]).toMatchObject({ type: 'Warning', facts: { mode: 'advisory', reason: 'BackOff' } });
    expect(events[1]?.message).toMatch(
      /the scheduler left: runnable task stall: sh\[7\] .*; it is loaded again in \d+ s$/,
    );
  });

  it('stays off when it keeps failing, and goes on observing', async () => {
    await start();
    for (let n = 0; n < 4; n += 1) {
      await leave(STALL);
      await pass(6 * MINUTE_MS);
      expect(modeNow()).toEqual(['enforce', undefined]);
    }
    await leave(STALL);
    await pass(24 * 60 * MINUTE_MS);
    expect(modeNow()).toEqual(['advisory', 'RepeatedFailure']);
    expect(current?.kind).toBe('observer');
    expect(opened('scheduler')).toBe(5);
    expect(events.at(-1)).toMatchObject({ type: 'Warning', reason: 'SchedExtStaysOff' });
    expect(exits).toHaveLength(5);
  });

  it('keeps the observer that runs while loading fails again and again', async () => {
    await start();
    kernel.schedulerFailure = { ...failure('SLO_E_ATTACH', 'refused', 'a stall', 'see dmesg'), exit: STALL };
    await leave(STALL);
    await pass(60 * MINUTE_MS);
    expect(modeNow()).toEqual(['advisory', 'RepeatedFailure']);
    expect(opened('observer')).toBe(1);
    expect(ends).toBe(1);
    expect(exits).toHaveLength(5);
    expect(exits[4]).toMatchObject({ class: 'stall', ranSeconds: 0 });
    expect(kernel.session.beats).toBeGreaterThan(3_000);
  });

  it('waits for the record that the kernel writes last', async () => {
    await start();
    const scheduler = kernel.session;
    scheduler.running = () => false;
    await pass(4_000);
    expect(modeNow()).toEqual(['enforce', undefined]);
    await leave(STALL);
    expect(exits).toMatchObject([{ class: 'stall' }]);
  });

  it('does without a record where none comes', async () => {
    await start();
    kernel.session.running = () => false;
    await pass(11_000);
    expect(exits).toMatchObject([{ class: 'other', kind: 0 }]);
    expect(modeNow()).toEqual(['advisory', 'BackOff']);
  });
});

describe('after a hotplug', () => {
  it('reloads at once, and does not count it', async () => {
    await start();
    for (let n = 0; n < 8; n += 1) {
      await leave(HOTPLUG);
      expect(current?.kind).toBe('observer');
      await pass(1_000);
      expect(modeNow()).toEqual(['enforce', undefined]);
    }
    expect(keeper.restart.failuresLastHour).toBe(0);
    expect(exits.map((each) => each.class)).toEqual(Array.from({ length: 8 }, () => 'hotplug'));
    expect(events.at(-1)).toMatchObject({ type: 'Normal', reason: 'SchedExtRestarted' });
  });

  it('waits until a group of CPUs has come or gone', async () => {
    await start();
    await leave(HOTPLUG);
    for (let n = 0; n < 10; n += 1) {
      kernel.hotplugs += 1n;
      await pass(200);
    }
    expect(opened('scheduler')).toBe(1);
    await pass(500);
    expect(opened('scheduler')).toBe(2);
  });

  it('does not wait for ever', async () => {
    await start();
    await leave(HOTPLUG);
    for (let n = 0; n < 30; n += 1) {
      kernel.hotplugs += 1n;
      await pass(200);
    }
    expect(opened('scheduler')).toBe(2);
  });

  it('reloads again when one comes in between', async () => {
    await start();
    kernel.schedulerFailure = { ...failure('SLO_E_HOTPLUG', 'not attached', 'seq', ''), exit: HOTPLUG };
    await leave(HOTPLUG);
    await pass(500);
    kernel.schedulerFailure = undefined;
    await pass(1_000);
    expect(modeNow()).toEqual(['enforce', undefined]);
    expect(keeper.restart.failuresLastHour).toBe(0);
  });
});

describe('when a person ends it', () => {
  it('stays off and observes, until the agent is started again', async () => {
    await start();
    await leave(SYSRQ);
    await pass(24 * 60 * MINUTE_MS);
    expect(modeNow()).toEqual(['advisory', 'TurnedOff']);
    expect(current?.kind).toBe('observer');
    expect(keeper.restart).toEqual({ action: 'stayOff', inSeconds: 0, failuresLastHour: 0 });
    expect(events.at(-1)).toMatchObject({ reason: 'SchedExtStaysOff' });
    expect(exits).toMatchObject([{ class: 'sysrq' }]);
  });
});

describe("somebody else's scheduler", () => {
  const busy = {
    ...CAN_ALL,
    canEnforce: false,
    reasons: [{ code: 'OtherScheduler' as const, message: '`lavd` is loaded', hint: 'stop it' }],
  };

  it('is looked at once a minute, and ours comes when it is gone', async () => {
    kernel.preflightAnswer = busy;
    await start();
    await pass(10 * MINUTE_MS);
    expect(modeNow()).toEqual(['advisory', 'OtherScheduler']);
    // the same each time, so that it is told once
    expect(new Set(events.map((event) => event.message)).size).toBe(1);
    kernel.preflightAnswer = CAN_ALL;
    await pass(2 * MINUTE_MS);
    expect(modeNow()).toEqual(['enforce', undefined]);
    expect(opened('observer')).toBe(1);
  });

  it('that was quicker than ours is no failure', async () => {
    kernel.schedulerFailure = failure('SLO_E_OTHER_SCHEDULER', 'not attached', '`lavd` is loaded', 'stop it');
    await start();
    expect(modeNow()).toEqual(['advisory', 'OtherScheduler']);
    expect(keeper.restart).toMatchObject({ action: 'lookAgain', failuresLastHour: 0 });
  });
});

it('does not look again where nothing can change by itself', async () => {
  const reasons = [{ code: 'NoSchedExt' as const, message: 'no sched_ext', hint: 'another kernel' }];
  kernel.preflightAnswer = { ...CAN_ALL, canEnforce: false, reasons };
  await start();
  kernel.preflightAnswer = CAN_ALL;
  await pass(24 * 60 * MINUTE_MS);
  expect(modeNow()).toEqual(['advisory', 'NoSchedExt']);
});

it('only observes where that is asked for', async () => {
  await start('observe');
  expect(modeNow()).toEqual(['observe', undefined]);
  expect(events).toMatchObject([{ type: 'Normal', reason: 'NodeMode', message: 'mode observe' }]);
  expect(keeper.restart.action).toBe('none');
});

it('opens nothing after it was stopped', async () => {
  await start();
  await leave(STALL);
  const count = kernel.sessions.length;
  await keeper.stop();
  await pass(60 * MINUTE_MS);
  expect(kernel.sessions).toHaveLength(count);
  expect(kernel.sessions.every((session) => session.closed > 0)).toBe(true);
});
