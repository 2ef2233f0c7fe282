// Annotation to kernel and back, on every kernel: attach, slot, miss event, detach; or the documented fall-back.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, expect, test } from 'vitest';
import { AgentProcess, eventually, killAgents, type PodsView, schedExt } from './agent-process.ts';
import { describeIf } from './applies.ts';
import { fact } from './facts.ts';
import { GuestNode } from './guest-pods.ts';

const expectation = process.env.SCX_SLO_VM_EXPECTATION;
const node = new GuestNode();
afterEach(async () => {
  await killAgents();
  await node.clear();
});
afterAll(() => node.close());

const agentArgs = (...more: string[]): string[] => [
  '--pods-dir',
  node.podsDir,
  '--signal-address',
  'off',
  ...more,
];

/** A budget that busy loops on too few CPUs cannot keep. */
const crowd = (name: string, driver?: 'systemd' | 'cgroupfs') => {
  const pod = node.add(name, { 'scx-slo.io/budget-ms': '1', 'scx-slo.io/importance': '80' }, driver);
  node.spin(pod, 4);
  return pod;
};

/** The chain that every kernel must show: the pod's slot, its misses, and each one's cgroup id. */
const expectMisses = async (agent: AgentProcess, name: string, cgroupId: string) => {
  const pod = await agent.pod(name);
  expect(pod).toMatchObject({ budgetMs: 1, importance: 80, namespace: 'vm', cgroupId });
  const missed = await eventually('misses are counted', async () => {
    const now = (await agent.view()).pods.find((candidate) => candidate.pod === name);
    const count = Object.values(now?.misses ?? {}).reduce((sum, n) => sum + n, 0);
    return now && count > 0 && now.wait.p99Ms > 0 ? now : undefined;
  });
  await eventually('miss events arrive', async () =>
    (await agent.metric('scx_slo_miss_events_total')) > 0 ? true : undefined,
  );
  return missed;
};

test('observe: the observer sees waits and misses without sched_ext', async () => {
  const agent = await AgentProcess.start('observe', agentArgs('--mode', 'observe'));
  const pod = crowd('observed', 'cgroupfs');
  try {
    expect((await agent.view()).mode).toBe('observe');
    const missed = await expectMisses(agent, 'observed', pod.cgroupId);
    expect(missed.misses.sched).toBeGreaterThan(0);
    expect(schedExt('state')).toBe('disabled');
    fact('agentResidentMb', Math.round(agent.residentMb()));
  } finally {
    expect(await agent.stop()).toBe(0);
    await node.remove(pod);
  }
});

describeIf(expectation === 'enforce')('on a kernel that can enforce', () => {
  test('attach, slot, miss event, detach', async () => {
    const agent = await AgentProcess.start('enforce', agentArgs('--mode', 'enforce'));
    const pod = crowd('enforced');
    try {
      const view = await agent.view();
      expect({ mode: view.mode, reason: view.modeReason }).toEqual({ mode: 'enforce', reason: null });
      expect(schedExt('state')).toBe('enabled');
      expect(schedExt('root/ops')).toBe('scx_slo');
      const missed = await expectMisses(agent, 'enforced', pod.cgroupId);
      // four loops on two CPUs use up what can be reserved: the rest is fair work, and said to be
      expect(missed.misses.over + missed.misses.stall + missed.misses.sched).toBeGreaterThan(0);
      expect(missed.reservedCpus).toBeGreaterThan(0);
      expect(node.alive(pod)).toBe(4);
    } finally {
      expect(await agent.stop()).toBe(0);
      expect(schedExt('state')).toBe('disabled');
      await node.remove(pod);
    }
  });
});

describeIf(expectation === 'enforce')('limits', () => {
  test('a resize and cpu.idle of a running pod are followed', async () => {
    const pod = node.add('resized', { 'scx-slo.io/budget-ms': '20' });
    const write = (file: string, text: string) =>
      writeFileSync(join('/sys/fs/cgroup', pod.cgroup, file), text);
    write('cpu.weight', '39');
    write('cpu.max', '150000 100000');
    const agent = await AgentProcess.enforce('limits', node.podsDir);
    const follows = (what: string, isTrue: (view: PodsView['pods'][number]) => boolean) =>
      eventually(what, async () => (isTrue(await agent.pod('resized')) ? true : undefined));
    await follows('the first limits', ({ limitCpus, cpuWeight }) => limitCpus === 1.5 && cpuWeight === 39);
    // new cgroups are read more often
    await sleep(2_000);
    const startMs = performance.now();
    write('cpu.max', '50000 100000');
    await follows('the new limit', ({ limitCpus }) => limitCpus === 0.5);
    fact('resizeFollowedMs', Math.round(performance.now() - startMs));
    write('cpu.idle', '1');
    await follows('cpu.idle', ({ cpuIdle, limitCpus }) => cpuIdle && limitCpus === 0.5);
    expect(await agent.stop()).toBe(0);
  });
});

describeIf(expectation === 'affected')('on a kernel where attaching can hang', () => {
  test('enforce is refused with the reason, and the node is observed', async () => {
    const agent = await AgentProcess.start('affected', agentArgs('--mode', 'enforce'));
    const pod = crowd('refused');
    try {
      const view = await agent.view();
      expect(view.mode).toBe('advisory');
      expect(view.modeReason).toMatchObject({ code: 'AttachHang' });
      expect(schedExt('state')).toBe('disabled');
      await expectMisses(agent, 'refused', pod.cgroupId);
    } finally {
      expect(await agent.stop()).toBe(0);
      await node.remove(pod);
    }
  });

  test('on an idle node, with the flag, it attaches', async () => {
    const agent = await AgentProcess.start('allowed', agentArgs('--mode', 'enforce', '--allow-attach-hang'));
    try {
      expect((await agent.view()).mode).toBe('enforce');
      expect(schedExt('root/ops')).toBe('scx_slo');
      const pod = crowd('allowed');
      await expectMisses(agent, 'allowed', pod.cgroupId);
      await node.remove(pod);
    } finally {
      expect(await agent.stop()).toBe(0);
      expect(schedExt('state')).toBe('disabled');
    }
  });
});

describeIf(expectation === 'malformed-btf')('on a kernel with malformed kfunc prototypes', () => {
  test('enforce falls back to advisory with the right reason', async () => {
    const agent = await AgentProcess.start('malformed', agentArgs('--mode', 'enforce'));
    const pod = crowd('fallen-back');
    try {
      const view = await agent.view();
      expect(view.mode).toBe('advisory');
      expect(view.modeReason).toMatchObject({ code: 'MalformedBtf' });
      expect(schedExt('state')).toBe('disabled');
      await expectMisses(agent, 'fallen-back', pod.cgroupId);
      expect(agent.log().match(/MalformedBtf/g)).toHaveLength(1);
    } finally {
      expect(await agent.stop()).toBe(0);
      await node.remove(pod);
    }
  });
});
