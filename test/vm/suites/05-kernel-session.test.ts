// agent/kernel against the kernel that runs here: attach, prove, refuse, time limits, detach. Nothing above it.

import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { type Failure, failureText, isFailure } from '../../../agent/failure.ts';
import { readNodeFacts } from '../../../agent/kernel/node-facts.ts';
import { openObserver } from '../../../agent/kernel/observer.ts';
import { type MissEvent, NO_SLOT } from '../../../agent/kernel/port.ts';
import { preflight } from '../../../agent/kernel/preflight.ts';
import {
  openScheduler,
  type SchedulerOptions,
  type SchedulerSession,
} from '../../../agent/kernel/scheduler.ts';
import { hostSysfs } from '../../../agent/kernel/sysfs.ts';
import { readTopology } from '../../../agent/kernel/topology.ts';
import { readKernelTypes } from '../../../agent/kernel/vmlinux-btf.ts';
import { makeCgroup, type TestCgroup } from '../../fixtures/native-bpf.ts';
import { describeIf, testIf } from './applies.ts';

/** By `Expectation` of test/vm/kernels.ts. */
const EXPECTED_REASONS: Readonly<Record<string, string[]>> = {
  enforce: [],
  affected: ['AttachHang'],
  'malformed-btf': ['MalformedBtf'],
};
const expectation = process.env.SCX_SLO_VM_EXPECTATION ?? 'enforce';
const state = (): string => readFileSync('/sys/kernel/sched_ext/state', 'utf8').trim();

const misses: MissEvent[] = [];
const opened: SchedulerSession[] = [];
const cgroups: TestCgroup[] = [];

const options = (change: Partial<SchedulerOptions> = {}): SchedulerOptions => {
  const types = readKernelTypes(hostSysfs);
  if (types === undefined || isFailure(types)) throw new Error('no BTF here');
  return {
    topology: readTopology(hostSysfs),
    sysfs: hostSysfs,
    kernelOpsMembers: types.opsMembers,
    onMiss: (event) => misses.push(event),
    onProblem: (problem: Failure) => {
      throw new Error(failureText(problem));
    },
    ...change,
  };
};

const open = async (): Promise<SchedulerSession> => {
  const session = await openScheduler(options());
  if (isFailure(session)) throw new Error(failureText(session));
  opened.push(session);
  return session;
};

afterEach(async () => {
  for (const session of opened.splice(0)) expect(await session.detach()).toBeUndefined();
  for (const cgroup of cgroups.splice(0)) await cgroup.remove();
  misses.length = 0;
  await vi.waitFor(() => expect(state()).toBe('disabled'), { timeout: 20_000, interval: 20 });
});

test('preflight says what is expected of this kernel', () => {
  const verdict = preflight(readNodeFacts(hostSysfs), { allowAttachHang: false });
  const codes = verdict.reasons.map((reason) => reason.code);
  expect(verdict.canObserve).toBe(true);
  expect(codes).toEqual(EXPECTED_REASONS[expectation]);
});

testIf(expectation === 'malformed-btf')('a refused object leaves nothing behind, and says why', async () => {
  const refused = await openScheduler(options());
  expect(refused).toMatchObject({ code: 'SLO_E_BPF_LOAD' });
  expect(isFailure(refused) && refused.why).toContain('incompatible with vmlinux');
  const observer = openObserver(options());
  expect(isFailure(observer)).toBe(false);
  if (!isFailure(observer)) observer.close();
});

describeIf(expectation !== 'malformed-btf')('the scheduler session', () => {
  test('attaches, proves it, and hands the node back', async () => {
    const session = await open();
    expect(state()).toBe('enabled');
    expect(session.running()).toBe(true);
    expect(session.exit()).toEqual({ kind: 0, exitCode: 0n, reason: '', message: '', dump: '' });
    expect(await session.detach()).toBeUndefined();
    expect(state()).toBe('disabled');
    expect(session.running()).toBe(false);
    expect(session.exit().kind).toBe(64);
    session.close();
    expect(session.slots.stats(5).bursts).toBe(0);
  });

  test('reports a miss of a busy cgroup within a second', async () => {
    const session = await open();
    const cgroup = makeCgroup();
    cgroups.push(cgroup);
    const failed = session.slots.assign(5, {
      cgroupId: cgroup.id,
      budgetNs: 1_000_000,
      importance: 50,
      reservedCpus: 2,
      creditCapNs: 1e9,
      creditSlot: 5,
      sloSlot: 5,
      parentSlot: NO_SLOT,
      idle: false,
      quotaNs: 0,
      periodUs: 0,
      limited: false,
      weight: 100,
      deadline: true,
    });
    expect(failed).toBeUndefined();
    session.slots.publish();
    session.beat();
    for (let i = 0; i < 6; i++) cgroup.run(i % 2, 'while :; do :; done');
    await vi.waitFor(() => expect(misses.length).toBeGreaterThan(0), { timeout: 20_000, interval: 50 });
    expect(misses[0]).toMatchObject({ cgroupId: cgroup.id, slot: 5, budgetNs: 1_000_000 });
    expect(misses[0]?.waitNs).toBeGreaterThan(1_000_000);
    const stats = session.slots.stats(5);
    expect(stats.ranNs).toBeGreaterThan(0);
    expect(stats.hist.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
    expect(session.running()).toBe(true);
  });

  test('refuses while another one runs, and leaves that alone', async () => {
    const session = await open();
    expect(await openScheduler(options())).toMatchObject({
      code: 'SLO_E_OTHER_SCHEDULER',
      why: 'the scheduler `scx_slo` is already loaded',
    });
    expect(session.running()).toBe(true);
  });

  test('an attach that takes too long is reported, and undone when it comes back', async () => {
    const late = await openScheduler(options({ attachLimitMs: 1 }));
    expect(late).toMatchObject({ code: 'SLO_E_ATTACH_HANG' });
    // while that one is under way no second one starts; afterwards the node is free again
    expect(await openScheduler(options())).toMatchObject({ code: 'SLO_E_ATTACH_HANG' });
    const session = await vi.waitFor(open, { timeout: 20_000, interval: 200 });
    expect(session.running()).toBe(true);
  });

  test('CPUs that came or went since the topology was read are noticed', async () => {
    const stale = { ...readTopology(hostSysfs), hotplugSeq: 999n };
    const refused = await openScheduler(options({ topology: stale }));
    expect(refused).toMatchObject({ code: 'SLO_E_HOTPLUG', exit: { kind: 66 } });
    expect(isFailure(refused) && refused.why).toContain('hotplug');
  });
});
