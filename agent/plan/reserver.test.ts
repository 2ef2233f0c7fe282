/** Over the real slot map, keeper and plan; only the kernel's writes are made up. */
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeKernel } from '../../test/fakes/kernel.ts';
import { DEFAULT_LIMITS } from '../cgroups/cgroup-files.ts';
import { CgroupTree } from '../cgroups/cgroup-tree.ts';
import { Ledger } from '../observe/ledger.ts';
import { ThrottleLedger } from '../observe/throttle-ledger.ts';
import type { PodTarget } from '../pods/target.ts';
import { plan } from './plan.ts';
import { Reserver } from './reserver.ts';
import { SlotKeeper } from './slot-keeper.ts';

const TICK_MS = 200;

const podOf = (uid: string): PodTarget => ({
  kind: 'pod',
  uid,
  cgroupUid: uid,
  namespace: 'shop',
  name: uid,
  slo: { budgetMs: 20, importance: 50, shed: true, source: 'pod', clamped: [] },
  containers: [],
  podIps: [],
  cpuRequestMilli: 0,
  problems: [],
});

let kernel: FakeKernel;
let keeper: SlotKeeper;
let reserver: Reserver;
let nowMs = 0;
let tree: CgroupTree;

const apply = (...uids: string[]): void => {
  const { slots } = plan({
    targets: uids.map(podOf),
    tree,
    mode: 'enforce',
    capacity: keeper.capacity,
    limits: () => DEFAULT_LIMITS,
    reservedCpus: (id) => reserver.reservedCpus(id),
  });
  keeper.apply(slots, nowMs);
};

const tick = (ranNs = 0): void => {
  nowMs += TICK_MS;
  if (ranNs > 0) kernel.addRun(keeper.get(2n)?.slot ?? -1, ranNs);
  keeper.read({ hot: 100, others: 100, throttles: 100 }, nowMs);
  reserver.step(nowMs);
};

beforeEach(() => {
  nowMs = performance.now();
  kernel = new FakeKernel({ kind: 'scheduler' });
  keeper = new SlotKeeper(new Ledger(), new ThrottleLedger());
  keeper.attach(kernel, nowMs);
  tree = new CgroupTree();
  tree.created(1n, '/kubepods', 0);
  tree.created(2n, '/kubepods/poda', 0);
  reserver = new Reserver({ keeper, log: pino({ level: 'silent' }), cpus: () => 2 });
  apply('a');
});

describe('reservations', () => {
  it('are left alone for a second while every pod rests', () => {
    for (let i = 0; i < 10; i += 1) tick();
    const seen = new Set(
      Array.from({ length: 10 }, () => {
        tick();
        return reserver.reservation;
      }),
    );
    expect(seen.size).toBeGreaterThanOrEqual(2);
    expect(seen.size).toBeLessThanOrEqual(3);
  });

  it('follow at once when a pod wakes up, by what it did since the last look', () => {
    for (let i = 0; i < 30; i += 1) tick();
    while (reserver.reservation.claims.get(2n)?.recentCpus !== 0) tick();
    tick();
    tick(TICK_MS * 1e6);
    // One CPU for 200 ms, as an agent sees it that steps in every tick: 1 - exp(-200 / 400).
    expect(reserver.reservation.claims.get(2n)?.recentCpus).toBeCloseTo(0.393, 2);
  });

  it('count a pod that came while the others rest', () => {
    for (let i = 0; i < 10; i += 1) tick();
    tick();
    tree.created(3n, '/kubepods/podb', 0);
    apply('a', 'b');
    expect(reserver.reservation.granted.has(3n)).toBe(false);
    tick();
    expect(reserver.reservation.granted.get(3n)).toBeGreaterThan(0);
  });
});
