/** Over the real slot map and plan; only the kernel's writes are made up. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Slo } from '../../slo/slo.ts';
import { FakeKernel } from '../../test/fakes/kernel.ts';
import { DEFAULT_LIMITS } from '../cgroups/cgroup-files.ts';
import { CgroupTree } from '../cgroups/cgroup-tree.ts';
import { Ledger } from '../observe/ledger.ts';
import { ThrottleLedger } from '../observe/throttle-ledger.ts';
import type { PodTarget } from '../pods/target.ts';
import { plan } from './plan.ts';
import { SlotKeeper } from './slot-keeper.ts';

const CONTAINER = 'ab'.repeat(32);
const READ_ALL = { hot: 100, others: 100, throttles: 100 };
const SLO: Slo = { budgetMs: 20, importance: 50, shed: true, source: 'container', clamped: [] };

const cart = (containerSlo?: Slo): PodTarget => ({
  kind: 'pod',
  uid: 'a',
  cgroupUid: 'a',
  namespace: 'shop',
  name: 'cart',
  slo: undefined,
  containers: [{ name: 'app', id: CONTAINER, ...(containerSlo === undefined ? {} : { slo: containerSlo }) }],
  podIps: [],
  cpuRequestMilli: 0,
  problems: [],
});

let kernel: FakeKernel;
let ledger: Ledger;
let throttles: ThrottleLedger;
let keeper: SlotKeeper;
const tree = new CgroupTree();
tree.created(1n, '/kubepods', 0);
tree.created(2n, '/kubepods/poda', 0);
tree.created(3n, `/kubepods/poda/${CONTAINER}`, 0);

const apply = (pod: PodTarget, quotaNs: number, nowMs: number): void => {
  const { slots } = plan({
    targets: [pod],
    tree,
    mode: 'enforce',
    capacity: keeper.capacity,
    limits: (id) => (id === 3n ? { ...DEFAULT_LIMITS, quotaNs, periodUs: 100_000 } : DEFAULT_LIMITS),
    reservedCpus: () => 0.5,
  });
  keeper.apply(slots, nowMs);
};

const slotOf = (cgroupId: bigint): number => keeper.get(cgroupId)?.slot ?? -1;
const runs = (cgroupId: bigint, bursts: number): void => {
  kernel.addWaits(slotOf(cgroupId), 20, bursts, 1e6);
  kernel.addRun(slotOf(cgroupId), bursts * 1e6);
};
const burstsOf = (container: string): number | undefined =>
  [...ledger.series()].find(({ labels }) => labels.pod === 'cart' && labels.container === container)?.bursts;

beforeEach(() => {
  kernel = new FakeKernel({ kind: 'scheduler', llcs: 2 });
  ledger = new Ledger();
  throttles = new ThrottleLedger();
  keeper = new SlotKeeper(ledger, throttles);
  keeper.attach(kernel, 0);
});

describe('SlotKeeper', () => {
  it('counts a container under its own name exactly while it has an SLO', () => {
    apply(cart(), 0, 0);
    runs(2n, 5);
    keeper.read(READ_ALL, 200);
    expect(burstsOf('app')).toBeUndefined();
    apply(cart(SLO), 0, 300);
    runs(3n, 7);
    keeper.read(READ_ALL, 400);
    apply(cart(), 0, 500);
    runs(2n, 2);
    keeper.read(READ_ALL, 600);
    apply(cart(SLO), 0, 700);
    runs(3n, 1);
    keeper.read(READ_ALL, 800);
    expect([burstsOf(''), burstsOf('app')]).toEqual([7, 8]);
  });

  it('adds what containers with an SLO did to the demand of their pod', () => {
    apply(cart(SLO), 0, 0);
    runs(3n, 4);
    keeper.read(READ_ALL, 200);
    expect(keeper.takeDemands().get(2n)).toEqual({ ranNs: 4e6, waitNs: 4e6, overMisses: 0 });
    keeper.read(READ_ALL, 400);
    expect(keeper.takeDemands().get(2n)).toBeUndefined();
  });

  it('believes what a pod wanted for some seconds', () => {
    apply(cart(), 0, 0);
    const wanted = (): number =>
      [...keeper.live()].find(({ entry }) => entry.slot === slotOf(2n))?.wantedCpus ?? 0;
    runs(2n, 100);
    keeper.read(READ_ALL, 200);
    expect(wanted()).toBeCloseTo(1);
    keeper.read(READ_ALL, 400);
    expect(wanted()).toBeGreaterThan(0.9);
    for (let nowMs = 600; nowMs < 20_000; nowMs += 200) keeper.read(READ_ALL, nowMs);
    expect(wanted()).toBeLessThan(0.01);
  });

  it('reads what cpu.max did from the first quota on, also a last time', () => {
    const counted = { periods: 3, throttledPeriods: 1, throttledNs: 1e6 };
    apply(cart(), 0, 0);
    keeper.read(READ_ALL, 100);
    expect([...throttles.series()]).toEqual([]);
    apply(cart(), 50e6, 200);
    kernel.addThrottling(slotOf(3n), counted);
    keeper.read(READ_ALL, 300);
    apply(cart(), 0, 400);
    kernel.addThrottling(slotOf(3n), counted);
    keeper.applyChanges([], [3n], 500);
    expect([...throttles.series()]).toMatchObject([{ labels: { container: 'app' }, periods: 6 }]);
  });

  it('shows the time that a quota of its container held a pod back', () => {
    apply(cart(), 50e6, 0);
    kernel.addThrottling(slotOf(3n), { periods: 3, throttledPeriods: 1, throttledNs: 0 });
    kernel.addThrottling(slotOf(2n), { periods: 0, throttledPeriods: 0, throttledNs: 7e6 });
    keeper.read(READ_ALL, 200);
    const seen = [...throttles.series()].map(({ labels, periods, throttledNs }) => [
      labels.container,
      periods,
      throttledNs,
    ]);
    expect(new Map(seen.map(([name, ...counts]) => [name, counts]))).toEqual(
      new Map([
        ['', [0, 7e6]],
        ['app', [3, 0]],
      ]),
    );
  });

  it('says once whose limits were written', () => {
    apply(cart(), 0, 0);
    kernel.tellLimitChange(slotOf(3n));
    kernel.tellLimitChange(0);
    expect(keeper.takeLimitChanges()).toEqual({ cgroupIds: [3n], system: true });
    expect(keeper.takeLimitChanges()).toEqual({ cgroupIds: [], system: false });
  });
});
