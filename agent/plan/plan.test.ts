import { describe, expect, it } from 'vitest';
import type { Slo } from '../../slo/slo.ts';
import { podCgroupPath } from '../../test/fakes/kubelet-cgroups.ts';
import { type CgroupLimits, DEFAULT_LIMITS } from '../cgroups/cgroup-files.ts';
import { CgroupTree } from '../cgroups/cgroup-tree.ts';
import { NO_SLOT } from '../kernel/port.ts';
import type { PathTarget, PodTarget, Target } from '../pods/target.ts';
import { SYSTEM_SLOT } from './ancestry.ts';
import { effectiveMode } from './desired-slot.ts';
import { type Plan, type PlanInput, PODS_SLOT, plan, planNewcomer } from './plan.ts';

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

  it('gives every container a slot on the credit of its pod, and its own SLO where that differs', () => {
    const helper = 'ef'.repeat(32);
    const tree = treeOf('/kubepods/poda', `/kubepods/poda/${CONTAINER}`, `/kubepods/poda/${helper}`);
    const containers = [
      { name: 'app', id: CONTAINER, slo: slo(60, { budgetMs: 5, source: 'container' }) },
      { name: 'helper', id: helper },
      { name: 'not-started', slo: slo() },
    ];
    const made = run(tree, [pod('a', { slo: undefined, containers })]);
    expect(made.slots.map((slot) => slot.path)).toHaveLength(3);
    const own = slotAt(made, `/kubepods/poda/${CONTAINER}`);
    expect(own).toMatchObject({ creditOf: 1n, sloOf: 2n, owner: { container: 'app' } });
    expect(own.policy).toMatchObject({ budgetNs: 5e6, reservedCpus: 0, creditCapNs: 0, deadline: true });
    const counted = slotAt(made, `/kubepods/poda/${helper}`);
    expect(counted).toMatchObject({ creditOf: 1n, sloOf: 1n, owner: { container: 'helper' } });
    expect(counted.policy).toMatchObject({ budgetNs: 0, reservedCpus: 0, creditCapNs: 0 });
    expect(slotAt(made, '/kubepods/poda').policy.creditCapNs).toBeGreaterThan(0);
  });

  it('knows containers before their pod, and before the runtime said which they are', () => {
    const tree = treeOf('/kubepods/poda', `/kubepods/poda/${CONTAINER}`);
    const unknown = run(tree, []);
    expect(unknown.slots.map(({ owner }) => owner.kind)).toEqual(['unknown-pod', 'unknown-container']);
    const early = run(tree, [pod('a', { containers: [{ name: 'app' }] })]);
    expect(slotAt(early, `/kubepods/poda/${CONTAINER}`)).toMatchObject({
      sloOf: 1n,
      owner: { kind: 'container', container: CONTAINER.slice(0, 12) },
    });
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

  it('keeps hierarchy and important pods, with those whose containers are, when cgroups outnumber slots', () => {
    const tree = treeOf(
      '/kubepods',
      '/kubepods/burstable',
      '/kubepods/burstable/poda',
      '/kubepods/burstable/podb',
      `/kubepods/burstable/podb/${CONTAINER}`,
    );
    const containers = [{ name: 'app', id: CONTAINER, slo: slo(60) }];
    const made = run(tree, [pod('a', { slo: slo(50) }), pod('b', { slo: undefined, containers })], {
      capacity: 5,
    });
    expect(made.evicted).toEqual([{ path: '/kubepods/burstable/poda', importance: 50 }]);
    const without = run(tree, [pod('a'), pod('b', { slo: undefined })], { capacity: 5 });
    expect(without.evicted.map(({ path }) => path)).toEqual([`/kubepods/burstable/podb/${CONTAINER}`]);
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

  it('plans 4,096 cgroups of 2,048 pods, every second one with an SLO', () => {
    const tree = new CgroupTree();
    const targets: Target[] = [];
    for (let index = 0; index < 2048; index += 1) {
      tree.created(BigInt(2 * index + 1), `/kubepods/burstable/pod${index}`, 0);
      tree.created(BigInt(2 * index + 2), `/kubepods/burstable/pod${index}/${CONTAINER}`, 0);
      targets.push(pod(String(index), { slo: index % 2 === 0 ? slo() : undefined }));
    }
    const { slots } = run(tree, targets);
    expect(slots).toHaveLength(4096);
    expect(slots.filter(({ policy }) => policy.budgetNs > 0)).toHaveLength(1024);
  });
});

describe('the hierarchy', () => {
  const UID = '11111111-2222-3333-4444-555555555555';
  const parents = (path: string): string[] => {
    const parts = path.split('/').slice(1);
    return parts.map((_, depth) => `/${parts.slice(0, depth + 1).join('/')}`);
  };

  it.each(['systemd', 'cgroupfs'] as const)('is root, QoS slice, pod and container with %s', (driver) => {
    const podPath = podCgroupPath({ driver, qos: 'besteffort', uid: UID });
    const paths = parents(`${podPath}/${CONTAINER}`);
    const made = run(treeOf(...paths), [pod(UID)]);
    expect(made.slots.map((slot) => [slot.owner.kind, slot.path])).toEqual(
      ['pods-root', 'qos', 'pod', 'container'].map((kind, depth) => [kind, paths[depth]]),
    );
    expect(made.slots.map((slot) => slot.ancestors.ids)).toEqual([[], [1n], [2n, 1n], [3n, 2n, 1n]]);
    expect(made.slots.every((slot) => slot.ancestors.otherwise === NO_SLOT)).toBe(true);
  });

  it('puts what lies deeper outside the pods under the system, and a root of pods there, too', () => {
    const tree = treeOf(
      '/system.slice/docker.scope/kubelet/kubepods/poda',
      '/system.slice/docker.scope/kubelet/kubepods',
      '/user.slice',
      '/user.slice/one',
      '/system.slice/docker.scope/x',
    );
    const made = run(tree, [
      rule('/user.slice'),
      rule('/user.slice/one', 2),
      rule('/system.slice/docker.scope/x', 3),
    ]);
    expect(slotAt(made, '/user.slice').ancestors).toMatchObject({ ids: [], otherwise: NO_SLOT });
    expect(slotAt(made, '/user.slice/one').ancestors).toMatchObject({ ids: [3n], otherwise: NO_SLOT });
    for (const path of ['/system.slice/docker.scope/x', '/system.slice/docker.scope/kubelet/kubepods'])
      expect(slotAt(made, path).ancestors).toMatchObject({ ids: [], otherwise: SYSTEM_SLOT });
    expect(slotAt(made, '/system.slice/docker.scope/kubelet/kubepods/poda').ancestors.ids).toEqual([2n]);
  });

  it('gives the folders above a path rule slots, inside the pods only', () => {
    const paths = [
      '/kubepods',
      '/kubepods/critical',
      '/kubepods/critical/a',
      '/kubepods/other',
      '/x',
      '/x/y',
    ];
    const made = run(treeOf(...paths), [rule('/kubepods/critical/a'), rule('/x/y', 2)]);
    expect(made.slots.map((slot) => [slot.path, slot.owner.kind])).toEqual([
      ['/kubepods', 'pods-root'],
      ['/kubepods/critical', 'folder'],
      ['/kubepods/critical/a', 'path'],
      ['/x/y', 'path'],
    ]);
    expect(slotAt(made, '/kubepods/critical/a').ancestors.ids).toEqual([2n, 1n]);
  });

  it('keeps to the levels that the kernel side walks', () => {
    const deep = `/kubepods/${Array.from({ length: 12 }, (_, level) => `d${level}`).join('/')}`;
    const made = run(treeOf(...parents(deep)), [rule(deep)]);
    expect(slotAt(made, deep).ancestors.ids).toHaveLength(7);
    expect(slotAt(made, deep).ancestors.ids.at(-1)).toBe(1n);
  });

  it('passes quotas and cpu.idle down, and weights not', () => {
    const paths = parents(`/kubepods/burstable/poda/${CONTAINER}`);
    const set: Record<string, Partial<CgroupLimits>> = {
      '2': { weight: 30, idle: true, quotaNs: 150e6, periodUs: 100_000 },
      '3': { quotaNs: 50e6, periodUs: 100_000, weight: 7 },
    };
    const made = run(treeOf(...paths), [pod('a')], {
      limits: (id) => ({ ...DEFAULT_LIMITS, ...set[String(id)] }),
    });
    expect(made.slots.map(({ policy, quotaCpus }) => ({ ...policy, quotaCpus }))).toMatchObject([
      { weight: 100, limited: false, idle: false, quotaNs: 0, quotaCpus: undefined },
      { weight: 30, limited: true, idle: true, quotaNs: 150e6, periodUs: 100_000, quotaCpus: 1.5 },
      { weight: 7, limited: true, idle: true, quotaNs: 50e6, quotaCpus: 0.5 },
      { weight: 100, limited: true, idle: true, quotaNs: 0, periodUs: 0, quotaCpus: 0.5 },
    ]);
  });
});

describe('a newcomer', () => {
  const paths = [
    '/kubepods',
    '/kubepods/burstable',
    '/kubepods/burstable/poda',
    `/kubepods/burstable/poda/${CONTAINER}`,
  ];

  it('gets what the full plan would give it', () => {
    const tree = treeOf(...paths);
    const input: PlanInput = {
      targets: [pod('a')],
      tree,
      mode: 'enforce',
      capacity: 16_384,
      limits: () => DEFAULT_LIMITS,
      reservedCpus: () => 0.5,
    };
    const full = plan(input);
    for (const path of paths) {
      const cgroup = tree.byPath(path);
      if (cgroup === undefined) throw new Error(`no ${path}`);
      const own = planNewcomer(input, full.claims, cgroup)?.find((slot) => slot.path === path);
      expect(own).toEqual(slotAt(full, path));
    }
  });

  it('waits for the full plan where a rule names it, or it is nothing that we know', () => {
    const tree = treeOf(...paths, '/kubepods/other');
    const input = { targets: [rule('/kubepods/burstable/poda')], tree } as unknown as PlanInput;
    const claims = run(tree, [rule('/kubepods/burstable/poda')]).claims;
    for (const path of [...paths.slice(2), '/kubepods/other']) {
      const cgroup = tree.byPath(path);
      if (cgroup === undefined) throw new Error(`no ${path}`);
      expect(planNewcomer({ ...input, limits: () => DEFAULT_LIMITS }, claims, cgroup)).toBeUndefined();
    }
  });
});
