// Who gets how much of a saturated node: cpu.weight at every level, as kubelet writes it. Bounds are generous, the
// machine is emulated and shared; how exact the shares are is the bench's question.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { describeIf } from './applies.ts';
import { fact } from './facts.ts';
import { cpusUsed, GuestCgroup, sharesOf } from './guest-cgroup.ts';
import type { KubeletPod } from './kubelet-node.ts';
import { NodeUnderTest } from './node-under-test.ts';

const CPUS = 2;
const WINDOW_MS = 6_000;
/** Within which a change must be followed. */
const FOLLOWED_MS = 2_000;
const TOLERANCE = 0.1;

const weight = (cgroup: GuestCgroup): number => Number(cgroup.read('cpu.weight'));

/** Of its share: whatever the host does, less than this is starving. */
const STARVED = 0.6;
const WINDOWS = 3;

const relativeShares = async (
  cgroups: readonly GuestCgroup[],
  weights: readonly number[],
  windowMs: number,
): Promise<number[]> => {
  const shares = await sharesOf(cgroups, windowMs);
  const all = weights.reduce((sum, one) => sum + one, 0);
  return shares.map((share, i) => share / ((weights[i] ?? 0) / all));
};

/**
 * Each share is within a tenth of that of `weights`, in one of three windows: one in which the host takes an emulated
 * CPU away from whom it runs says nothing. Nobody starves in any.
 */
const expectShares = async (
  name: string,
  cgroups: readonly GuestCgroup[],
  weights: readonly number[],
  windowMs = WINDOW_MS,
): Promise<void> => {
  const seen: string[] = [];
  for (let window = 0; window < WINDOWS; window += 1) {
    const relative = await relativeShares(cgroups, weights, windowMs);
    seen.push(relative.map((ratio) => ratio.toFixed(3)).join(' '));
    fact(`shareOverWeight ${name}`, seen.join(', '));
    for (const ratio of relative)
      expect(ratio, `share over weight: ${seen.join(', ')}`).toBeGreaterThan(STARVED);
    if (relative.every((ratio) => Math.abs(ratio - 1) < TOLERANCE)) return;
  }
  expect.fail(`share over weight in ${WINDOWS} windows: ${seen.join(', ')}`);
};

describeIf(process.env.SCX_SLO_VM_EXPECTATION === 'enforce')('weights on a saturated node', () => {
  const node = new NodeUnderTest('weights');
  beforeAll(() => node.enforce());
  afterEach(async () => {
    await node.clear();
    await node.expectEnforcing();
  });
  afterAll(() => node.close());

  const pod = (name: string, requestMilli: number): KubeletPod =>
    node.add(name, { containers: { main: { requestMilli } } });

  test('requests 3:1, the second with four times the threads', async () => {
    const [large, small] = [pod('large', 600), pod('small', 200)];
    large.container().spin(2 * CPUS);
    small.container().spin(8 * CPUS);
    await sleep(FOLLOWED_MS);
    await expectShares('3:1', [large.cgroup, small.cgroup], [weight(large.cgroup), weight(small.cgroup)]);
  });

  test('containers 2:1 in one pod, beside another pod of the same request', async () => {
    const nested = node.add('nested', { containers: { a: { requestMilli: 400 }, b: { requestMilli: 200 } } });
    const other = pod('other', 600);
    nested.container('a').spin(2 * CPUS);
    nested.container('b').spin(4 * CPUS);
    other.container().spin(2 * CPUS);
    await sleep(FOLLOWED_MS);
    await expectShares('2:1 in 1:1', [nested.container('a'), nested.container('b'), other.cgroup], [2, 1, 3]);
  });

  test('a QoS slice is one share, whatever is in it', async () => {
    const [a, b] = [pod('burstable-a', 600), pod('burstable-b', 200)];
    const effort = ['best-effort-a', 'best-effort-b'].map((name) => node.add(name, {}));
    const slice = (one: KubeletPod) => new GuestCgroup(one.cgroup.path.replace(/\/[^/]+$/, ''));
    slice(a).write('cpu.weight', 200);
    for (const one of effort.slice(0, 1)) slice(one).write('cpu.weight', 100);
    for (const one of [a, b, ...effort]) one.container().spin(2 * CPUS);
    await sleep(FOLLOWED_MS);
    await expectShares(
      '2:1 of slices',
      [a, b, ...effort].map((one) => one.cgroup),
      [6, 2, 2, 2],
    );
  });

  test('a cpu.idle group gets what nobody else wants', async () => {
    const [busy, idle] = [pod('busy', 200), pod('idle', 200)];
    idle.cgroup.write('cpu.idle', 1);
    busy.container().spin(CPUS);
    idle.container().spin(2 * CPUS);
    await sleep(FOLLOWED_MS);
    const [, contended = 1] = await sharesOf([busy.cgroup, idle.cgroup], WINDOW_MS);
    fact('idleGroupShare', Math.round(contended * 1000) / 1000);
    expect(contended).toBeLessThan(0.1);

    await node.remove(busy);
    const [alone = 0] = await cpusUsed([idle.cgroup], 2_000);
    expect(alone).toBeGreaterThan(0.75 * CPUS);
  });

  test('a weight that falls to a fraction starves nobody', async () => {
    const [falling, steady] = [pod('falling', 600), pod('steady', 600)];
    falling.cgroup.write('cpu.weight', 10_000);
    steady.cgroup.write('cpu.weight', 2);
    for (const one of [falling, steady]) one.container().spin(2 * CPUS);
    await sleep(FOLLOWED_MS);
    falling.cgroup.write('cpu.weight', 2);
    await sleep(FOLLOWED_MS + 1_000);
    await expectShares('10000 -> 2 : 2', [falling.cgroup, steady.cgroup], [1, 1], 3_000);
  });

  test('a change of cpu.weight in place is followed', async () => {
    const [a, b] = [pod('resized', 200), pod('fixed', 200)];
    for (const one of [a, b]) one.container().spin(2 * CPUS);
    await sleep(FOLLOWED_MS);
    await expectShares('1:1', [a.cgroup, b.cgroup], [1, 1], 3_000);
    node.resize(a, { requestMilli: 600 });
    await sleep(FOLLOWED_MS);
    await expectShares('1:1 -> 3:1', [a.cgroup, b.cgroup], [3, 1]);
  });
});
