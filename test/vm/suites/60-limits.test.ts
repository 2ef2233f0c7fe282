// cpu.max, as kubelet writes it for CPU limits: kept, followed, and never in the way of a task that leaves or dies.
// Bounds are generous, the machine is emulated and shared; how exact the quota is kept is the bench's question.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { eventually } from './agent-process.ts';
import { describeIf, testIf } from './applies.ts';
import { fact } from './facts.ts';
import { cpusUsed, type GuestCgroup } from './guest-cgroup.ts';
import type { Cpu, KubeletPod } from './kubelet-node.ts';
import { NodeUnderTest } from './node-under-test.ts';

const CPUS = 2;
const WINDOW_MS = 5_000;
/** Within which a change must be followed. */
const FOLLOWED_MS = 2_000;
const TOLERANCE = 0.05;
/** The kernel's own scheduler lets killed tasks wait for quota (7.3.4: more than 20 s), and has its own counters. */
const isBaseline = Boolean(process.env.SCX_SLO_VM_BASELINE);

/** What each used over the next seconds is within a twentieth of its quota in CPUs. */
const expectUsage = async (
  quotas: readonly { readonly name: string; readonly cgroup: GuestCgroup; readonly cpus: number }[],
  windowMs = WINDOW_MS,
): Promise<void> => {
  const used = await cpusUsed(
    quotas.map(({ cgroup }) => cgroup),
    windowMs,
  );
  const ratios = quotas.map(({ name, cpus }, i) => ({ name, ratio: (used[i] ?? 0) / cpus }));
  for (const { name, ratio } of ratios) fact(`usageOverQuota ${name}`, Math.round(ratio * 1000) / 1000);
  for (const { name, ratio } of ratios) {
    expect(ratio, name).toBeGreaterThan(1 - TOLERANCE);
    expect(ratio, name).toBeLessThan(1 + TOLERANCE);
  }
};

describeIf(process.env.SCX_SLO_VM_EXPECTATION === 'enforce')('CPU limits', () => {
  const node = new NodeUnderTest('limits');
  beforeAll(() => node.enforce());
  afterEach(async () => {
    await node.clear();
    await node.expectEnforcing();
  });
  afterAll(() => node.close());

  const allRun = (pod: KubeletPod, count: number) =>
    eventually('all run', () => (pod.container().pids().length === count ? true : undefined));

  const throttling = async () =>
    isBaseline
      ? undefined
      : {
          periods: await node.agent.metric('scx_slo_cpu_periods_total'),
          throttledPeriods: await node.agent.metric('scx_slo_cpu_throttled_periods_total'),
          seconds: await node.agent.metric('scx_slo_throttled_seconds_total'),
        };
  const limited = (name: string, limitMilli: number): KubeletPod =>
    node.add(name, { containers: { main: { requestMilli: 100, limitMilli } } });

  test("half a CPU for one thread; a pod whose containers' limits are more than its own", async () => {
    const one = limited('one', 500);
    one.container().spin(1);
    const each: Cpu = { requestMilli: 100, limitMilli: 200 };
    const nested = node.add('nested', { containers: { a: each, b: each } });
    nested.cgroup.write('cpu.max', '30000 100000');
    const containers = ['a', 'b'].map((name) => nested.container(name));
    for (const container of containers) container.spin(2);
    await sleep(FOLLOWED_MS);
    const parts = cpusUsed(containers, WINDOW_MS);
    await expectUsage([
      { name: '1 thread', cgroup: one.cgroup, cpus: 0.5 },
      { name: 'pod of two containers', cgroup: nested.cgroup, cpus: 0.3 },
    ]);
    for (const part of await parts) {
      expect(part).toBeGreaterThan(0.05);
      expect(part).toBeLessThan(0.2 * (1 + TOLERANCE));
    }
  });

  test('half a CPU for eight threads, and the throttling is counted', async () => {
    const pod = limited('eight', 500);
    pod.container().spin(8);
    await sleep(FOLLOWED_MS);
    const before = await throttling();
    await expectUsage([{ name: '8 threads', cgroup: pod.cgroup, cpus: 0.5 }]);
    const after = await throttling();
    if (before === undefined || after === undefined) return;
    // ten periods a second, nearly each one used up
    const periods = after.periods - before.periods;
    const throttledPeriods = after.throttledPeriods - before.throttledPeriods;
    expect(periods).toBeGreaterThanOrEqual(30);
    expect(throttledPeriods).toBeGreaterThanOrEqual(0.8 * periods);
    // a period that began before the window may run out in it: one for the pod, one for its container
    expect(throttledPeriods).toBeLessThanOrEqual(periods + 2);
    expect(after.seconds - before.seconds).toBeGreaterThan(1);
  });

  test('a latency pod keeps its limit beside batch, and batch has the rest', async () => {
    const latency = node.add('latency', {
      annotations: { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/importance': '90' },
      containers: { main: { requestMilli: 500, limitMilli: 500 } },
    });
    const batch = node.add('batch', { containers: { main: { requestMilli: 100 } } });
    latency.container().spin(CPUS);
    batch.container().spin(4 * CPUS);
    await sleep(FOLLOWED_MS);
    const rest = cpusUsed([batch.cgroup], WINDOW_MS);
    await expectUsage([{ name: 'latency pod', cgroup: latency.cgroup, cpus: 0.5 }]);
    const [batchCpus = 0] = await rest;
    fact('batchCpusBesideLimitedLatencyPod', Math.round(batchCpus * 100) / 100);
    expect(batchCpus).toBeGreaterThan(0.8 * (CPUS - 0.5));
  });

  test('raised, lowered and removed in place', async () => {
    const [a, b] = [limited('raised', 300), limited('lowered', 900)];
    for (const pod of [a, b]) pod.container().spin(4);
    await sleep(FOLLOWED_MS);
    node.resize(a, { requestMilli: 100, limitMilli: 900 });
    node.resize(b, { requestMilli: 100, limitMilli: 300 });
    await sleep(FOLLOWED_MS);
    await expectUsage([
      { name: '0.3 -> 0.9', cgroup: a.cgroup, cpus: 0.9 },
      { name: '0.9 -> 0.3', cgroup: b.cgroup, cpus: 0.3 },
    ]);
    await node.remove(b);
    node.resize(a, { requestMilli: 100 });
    await sleep(FOLLOWED_MS);
    const [free = 0] = await cpusUsed([a.cgroup], 2_000);
    expect(free).toBeGreaterThan(0.75 * CPUS);
  });

  test('a task that leaves a throttled cgroup runs at once', async () => {
    const [throttled, free] = [limited('throttled', 500), node.add('free', {})];
    throttled.container().spin(4);
    await allRun(throttled, 4);
    // a hundredth of a CPU, in periods of a second: throttled nearly all the time
    throttled.cgroup.write('cpu.max', '10000 1000000');
    await sleep(FOLLOWED_MS);
    const [pid] = throttled.container().pids();
    free.container().write('cgroup.procs', pid ?? 0);
    const [used = 0] = await cpusUsed([free.cgroup], 2_000);
    expect(used).toBeGreaterThan(0.75);
  });

  testIf(!isBaseline)('killing throttled tasks ends them without waiting for quota', async () => {
    const pod = limited('killed', 500);
    pod.container().spin(30);
    await allRun(pod, 30);
    try {
      // a millisecond each second: to end 30 tasks one quota after another takes many seconds
      pod.cgroup.write('cpu.max', '1000 1000000');
      await sleep(FOLLOWED_MS);
      const killedAt = performance.now();
      pod.cgroup.kill();
      const isEmpty = () => (/^populated 0$/m.test(pod.cgroup.read('cgroup.events')) ? true : undefined);
      await eventually('the pod is empty', isEmpty, 2_000);
      fact('killOf30ThrottledMs', Math.round(performance.now() - killedAt));
    } finally {
      pod.cgroup.write('cpu.max', 'max');
    }
  });
});
