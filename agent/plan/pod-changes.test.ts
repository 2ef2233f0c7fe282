import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Slo } from '../../slo/slo.ts';
import { FakeKernel } from '../../test/fakes/kernel.ts';
import { DEFAULT_LIMITS } from '../cgroups/cgroup-files.ts';
import { CgroupTree } from '../cgroups/cgroup-tree.ts';
import { Ledger } from '../observe/ledger.ts';
import { ThrottleLedger } from '../observe/throttle-ledger.ts';
import type { PodTarget, Target } from '../pods/target.ts';
import { type Claims, NO_CLAIMS } from './claims.ts';
import { labelsOf } from './live-slot.ts';
import { type PlanInput, plan } from './plan.ts';
import { followPods, podChanges } from './pod-changes.ts';
import { SlotKeeper } from './slot-keeper.ts';

const PODS = 5;
const containerOf = (pod: number): string => `${pod}`.repeat(64);

/** Pods 0 .. 3 have cgroups, pod 4 has none yet. */
const tree = new CgroupTree();
tree.created(1n, '/kubepods', 0);
for (let i = 0; i < PODS - 1; i += 1) {
  tree.created(BigInt(10 * i + 10), `/kubepods/podu${i}`, 0);
  tree.created(BigInt(10 * i + 11), `/kubepods/podu${i}/${containerOf(i)}`, 0);
}

const slo = (budgetMs: number): Slo => ({ budgetMs, importance: 50, shed: true, source: 'pod', clamped: [] });

interface Wish {
  own: number;
  container: number;
  name: string;
}

const podOf = (index: number, { own, container, name }: Wish): PodTarget => ({
  kind: 'pod',
  uid: `u${index}`,
  cgroupUid: `u${index}`,
  namespace: 'shop',
  name,
  slo: own === 0 ? undefined : slo(own),
  containers: [{ name: 'app', id: containerOf(index), ...(container === 0 ? {} : { slo: slo(container) }) }],
  podIps: [],
  cpuRequestMilli: 100,
  problems: [],
});

class World {
  readonly kernel = new FakeKernel({ kind: 'scheduler', llcs: 1 });
  readonly keeper = new SlotKeeper(new Ledger(), new ThrottleLedger());

  constructor() {
    this.keeper.attach(this.kernel, 0);
  }

  input(targets: readonly Target[]): PlanInput {
    const { capacity } = this.keeper;
    return {
      ...{ targets, tree, capacity, mode: 'enforce' },
      limits: () => DEFAULT_LIMITS,
      reservedCpus: () => 0.5,
    };
  }

  /** A full plan at first, changes from then on. */
  follow(targets: readonly Target[], before: Claims | undefined, nowMs: number): Claims {
    if (before === undefined) {
      const { slots, claims } = plan(this.input(targets));
      this.keeper.apply(slots, nowMs);
      return claims;
    }
    const changes = followPods(this.input(targets), before, 99);
    if (changes === undefined) throw new Error('left to a full plan');
    this.keeper.applyPods(changes.slots, nowMs);
    return changes.claims;
  }

  /** Per cgroup: what the kernel reads, with cgroups in place of slots, and for whom it is counted. */
  state() {
    const cgroupOf = new Map([...this.kernel.indexed].map(([id, slot]) => [slot, id]));
    return new Map(
      [...this.keeper.live()].map(({ entry, owner, meter }) => {
        const policy = this.kernel.policy(entry.slot);
        if (policy === undefined) throw new Error(`slot ${entry.slot} has no policy`);
        const { creditSlot, sloSlot, parentSlot } = policy;
        const slots = [creditSlot, sloSlot, parentSlot].map((slot) => cgroupOf.get(slot) ?? slot);
        const counted = meter === undefined ? 'no' : meter.series.labels;
        return [
          entry.desired.cgroupId,
          { ...policy, creditSlot: 0, sloSlot: 0, parentSlot: 0, slots, owner: labelsOf(owner), counted },
        ];
      }),
    );
  }
}

type KnownPods = ReadonlyMap<number, { text: string; pod: PodTarget }>;

/** As sources do it: a pod that did not change is the same object. */
const nextPods = (before: KnownPods, wishes: readonly (Wish | undefined)[]): KnownPods =>
  new Map(
    wishes.flatMap((wish, index) => {
      if (wish === undefined) return [];
      const text = JSON.stringify(wish);
      const known = before.get(index);
      return [[index, known?.text === text ? known : { text, pod: podOf(index, wish) }] as const];
    }),
  );

describe('pods that are followed between two plans', () => {
  const wish = fc.option(
    fc.record({ own: fc.nat(2), container: fc.nat(2), name: fc.constantFrom('cart', 'mail') }),
    { nil: undefined },
  );
  const step = fc.array(wish, { minLength: PODS, maxLength: PODS });

  it('have in the kernel what a full plan would give them', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
        const [followed, full] = [new World(), new World()];
        let claims: Claims | undefined;
        let pods: KnownPods = new Map();
        for (const [round, wishes] of steps.entries()) {
          pods = nextPods(pods, wishes);
          const targets = [...pods.values()].map(({ pod }) => pod);
          const planned = plan(full.input(targets));
          full.keeper.apply(planned.slots, round);
          claims = followed.follow(targets, claims, round);
          expect(claims.pods).toEqual(planned.claims.pods);
          expect(followed.state()).toEqual(full.state());
        }
      }),
    );
  });

  it('are left to a full plan where two claim one cgroup, a rule names a path, or too many changed', () => {
    const cart = podOf(0, { own: 1, container: 0, name: 'cart' });
    const rule: Target = { kind: 'path', path: '/x', slo: slo(1), line: 1 };
    const input = (...targets: Target[]) => new World().input(targets);
    expect(podChanges(NO_CLAIMS, [cart, { ...cart, uid: 'other' }])).toBeUndefined();
    expect(podChanges(NO_CLAIMS, [cart, rule])).toBeUndefined();
    expect(podChanges({ ...NO_CLAIMS, pathNames: new Set(['/x']) }, [cart])).toBeUndefined();
    expect(podChanges({ ...NO_CLAIMS, conflicts: [{ what: '/x', claimants: [] }] }, [cart])).toBeUndefined();
    expect(followPods(input(cart), NO_CLAIMS, 0)).toBeUndefined();
    expect(followPods(input(cart), NO_CLAIMS, 1)?.slots).toHaveLength(2);
  });
});
