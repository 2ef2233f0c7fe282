import { describe, expect, it } from 'vitest';
import type { Slo } from '../../slo/slo.ts';
import { DEFAULT_LIMITS } from '../cgroups/cgroup-files.ts';
import { CgroupTree } from '../cgroups/cgroup-tree.ts';
import type { PathTarget, PodTarget, Target } from '../pods/target.ts';
import { effectiveMode, type Plan, type PlanInput, PODS_SLOT, plan } from './plan.ts';

const slo = (importance = 50, more: Partial<Slo> = {}): Slo => ({
  budgetMs: 50,
  importance,
  shed: true,
  source: 'pod',
  clamped: [],
  ...more,
});

const pod = (uid: string, more: Partial<PodTarget> = {}): PodTarget => ({
  kind: 'pod',
  uid,
  cgroupUid: uid,
  namespace: 'shop',
  name: `name-of-${uid}`,
  slo: slo(),
  containers: [],
  podIps: [],
  cpuRequestMilli: 0,
  problems: [],
  ...more,
});

const rule = (path: string, line = 1, more: Partial<PathTarget> = {}): PathTarget => ({
  kind: 'path',
  path,
  slo: slo(90),
  line,
  ...more,
});

const CONTAINER = 'cd'.repeat(32);

const treeOf = (...paths: string[]): CgroupTree => {
  const tree = new CgroupTree();
  paths.forEach((path, index) => {
    tree.created(BigInt(index + 1), path, 0);
  });
  return tree;
};

const run = (tree: CgroupTree, targets: Target[], more: Partial<PlanInput> = {}): Plan =>
  plan({
    targets,
    tree,
    mode: 'enforce',
    capacity: 16_384,
    limits: () => DEFAULT_LIMITS,
    reservedCpus: () => 0.5,
    ...more,
  });

const slotAt = (made: Plan, path: string) => {
  const slot = made.slots.find((candidate) => candidate.path === path);
  if (slot === undefined) throw new Error(`no slot for ${path}`);
  return slot;
};

describe('plan', () => {
  it('gives every pod a slot, and those with an SLO its settings', () => {
    const tree = treeOf(
      '/kubepods',
      '/kubepods/poda',
      '/kubepods/burstable/podb',
      '/kubepods/podc',
      '/system.slice',
    );
    const made = run(tree, [pod('a'), pod('b', { slo: undefined })]);
    expect(made.slots.map((slot) => slot.owner.kind)).toEqual(['pods-root', 'pod', 'pod', 'unknown-pod']);
    expect(slotAt(made, '/kubepods').fixedSlot).toBe(PODS_SLOT);
    expect(slotAt(made, '/kubepods/poda').policy).toEqual({
      cgroupId: 2n,
      budgetNs: 50e6,
      importance: 50,
      reservedCpus: 0.5,
      creditCapNs: 0.5 * 500e6,
      weight: 100,
      idle: false,
      quotaNs: 0,
      periodUs: 0,
      limited: false,
      deadline: true,
    });
    for (const path of ['/kubepods/burstable/podb', '/kubepods/podc']) {
      expect(slotAt(made, path).policy).toMatchObject({
        budgetNs: 0,
        reservedCpus: 0,
        creditCapNs: 0,
        deadline: false,
      });
    }
    expect(made.unresolved).toEqual([]);
  });

  it('gives a container its own slot only where its SLO differs, on the credit of its pod', () => {
    const tree = treeOf('/kubepods/poda', `/kubepods/poda/${CONTAINER}`, `/kubepods/poda/${'ef'.repeat(32)}`);
    const containers = [
      { name: 'app', id: CONTAINER, slo: slo(60, { budgetMs: 5, source: 'container' }) },
      { name: 'helper', id: 'ef'.repeat(32) },
      { name: 'not-started', slo: slo() },
    ];
    const made = run(tree, [pod('a', { slo: undefined, containers })]);
    expect(made.slots).toHaveLength(2);
    const own = slotAt(made, `/kubepods/poda/${CONTAINER}`);
    expect(own).toMatchObject({ creditOf: 1n, owner: { container: 'app' } });
    expect(own.policy).toMatchObject({ budgetNs: 5e6, reservedCpus: 0, creditCapNs: 0 });
    expect(slotAt(made, '/kubepods/poda').policy.creditCapNs).toBeGreaterThan(0);
  });

  it('keeps pods of mode advisory or observe out of the deadline tier', () => {
    const tree = treeOf('/kubepods/poda', '/kubepods/podb');
    const targets = [
      pod('a', { slo: slo(50, { mode: 'advisory' }) }),
      pod('b', { slo: slo(50, { mode: 'enforce' }) }),
    ];
    expect(run(tree, targets).slots.map((slot) => slot.policy.deadline)).toEqual([false, true]);
    const advisory = run(tree, targets, { mode: 'advisory' });
    expect(advisory.slots.map((slot) => slot.policy.deadline)).toEqual([false, false]);
    expect(effectiveMode('advisory', slo(1, { mode: 'enforce' }))).toBe('advisory');
    expect(effectiveMode('enforce', undefined)).toBe('enforce');
  });

  it('applies path rules anywhere, and counts those whose cgroup is missing', () => {
    const made = run(treeOf('/', '/kubepods/critical/payment-api', '/user.slice'), [
      rule('/kubepods/critical/payment-api'),
      rule('/user.slice', 2),
      rule('/nowhere', 3),
      pod('not-started'),
      pod('no-slo', { slo: undefined }),
    ]);
    expect(made.slots.map((slot) => slot.path)).toEqual(['/kubepods/critical/payment-api', '/user.slice']);
    expect(made.unresolved.map((target) => (target.kind === 'path' ? target.path : target.uid))).toEqual([
      'not-started',
      '/nowhere',
    ]);
  });

  it('gives a contested cgroup to neither claimant and says so', () => {
    const tree = treeOf('/kubepods/poda', '/kubepods/podb', '/x');
    const made = run(tree, [
      pod('a', { uid: 'first' }),
      pod('a', { uid: 'second', name: 'thief' }),
      pod('b'),
      rule('/kubepods/podb', 3),
      rule('/x', 4),
      rule('/x', 5),
    ]);
    expect(made.slots.map((slot) => [slot.path, slot.owner.kind, slot.slo])).toEqual([
      ['/kubepods/poda', 'unknown-pod', undefined],
      ['/kubepods/podb', 'pod', undefined],
    ]);
    expect(made.conflicts.map((conflict) => conflict.what)).toEqual([
      '/kubepods/poda',
      '/kubepods/podb',
      '/x',
    ]);
    expect(made.conflicts[0]?.claimants).toEqual(['pod shop/name-of-a (first)', 'pod shop/thief (second)']);
  });

  it('lets a path rule have the cgroup of a pod that has no SLO', () => {
    const made = run(treeOf('/kubepods/poda'), [pod('a', { slo: undefined }), rule('/kubepods/poda')]);
    expect(made.conflicts).toEqual([]);
    expect(made.slots.map((slot) => slot.owner.kind)).toEqual(['path']);
  });

  it('drops accounting first, then the least important, when cgroups outnumber slots', () => {
    const tree = treeOf('/kubepods', '/kubepods/poda', '/kubepods/podb', '/kubepods/podc', '/kubepods/podd');
    const made = run(
      tree,
      [pod('b', { slo: slo(10) }), pod('c', { slo: slo(90) }), pod('d', { slo: slo(20) })],
      {
        capacity: 4,
      },
    );
    expect(made.slots.map((slot) => slot.path)).toEqual(['/kubepods', '/kubepods/podc', '/kubepods/podd']);
    expect(made.evicted).toEqual([
      { path: '/kubepods/podb', importance: 10 },
      { path: '/kubepods/poda', importance: undefined },
    ]);
  });

  it('plans 4,096 cgroups in milliseconds', () => {
    const tree = new CgroupTree();
    const targets: Target[] = [];
    for (let index = 0; index < 2048; index += 1) {
      tree.created(BigInt(2 * index + 1), `/kubepods/burstable/pod${index}`, 0);
      tree.created(BigInt(2 * index + 2), `/kubepods/burstable/pod${index}/${CONTAINER}`, 0);
      targets.push(pod(String(index), { slo: index % 2 === 0 ? slo() : undefined }));
    }
    run(tree, targets);
    // The best of several runs: other suites share the CPUs.
    const times = Array.from({ length: 20 }, () => {
      const startMs = performance.now();
      expect(run(tree, targets).slots).toHaveLength(2048);
      return performance.now() - startMs;
    });
    expect(Math.min(...times)).toBeLessThan(10);
  });
});
