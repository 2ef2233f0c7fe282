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

const SYSTEM_SLOT = 0;
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
  reserver = new Reserver({ keeper, log: pino({ level: 'silent' }), cpus: () => 2, systemShare: () => 0 });
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

const silent = pino({ level: 'silent' });

it('reserves for the node’s daemons what they ran, in each session anew', () => {
  const keeper = new SlotKeeper(new Ledger(), new ThrottleLedger());
  const beganMs = performance.now();
  const reserver = new Reserver({ keeper, log: silent, cpus: () => 8, systemShare: () => 0.5 });
  let nowMs = beganMs;
  const session = (): FakeKernel => {
    const kernel = new FakeKernel({ kind: 'scheduler', llcs: 2 });
    keeper.attach(kernel, nowMs);
    return kernel;
  };
  const run = (kernel: FakeKernel, seconds: number, cpus: number): void => {
    for (const endMs = nowMs + seconds * 1_000; nowMs < endMs; ) {
      nowMs += TICK_MS;
      kernel.addRun(SYSTEM_SLOT, cpus * TICK_MS * 1e6);
      kernel.addWaits(SYSTEM_SLOT, 20, 10, TICK_MS * 1e6);
      keeper.read({ hot: 1, others: 1, throttles: 1 }, nowMs);
      reserver.step(nowMs);
    }
  };
  const first = session();
  run(first, 10, 2);
  expect(first.system.reservedCpus).toBeGreaterThan(2);
  expect(first.system.reservedCpus).toBeLessThan(4);
  expect(first.system.creditCapNs).toBeGreaterThan(200e6);
  const second = session();
  run(second, 0.2, 2);
  expect(second.system.reservedCpus).toBeCloseTo(reserver.systemReservedCpus);
  run(second, 20, 0);
  expect(second.system.reservedCpus).toBeLessThan(0.2);
});
