import { describe, expect, it } from 'vitest';
import { FakeKernel } from '../../test/fakes/kernel.ts';
import { DEFAULT_LIMITS } from '../cgroups/cgroup-files.ts';
import { LimitsCache } from '../cgroups/cgroup-limits.ts';
import { CgroupTree } from '../cgroups/cgroup-tree.ts';
import { Ledger } from '../observe/ledger.ts';
import { ThrottleLedger } from '../observe/throttle-ledger.ts';
import { LimitWatch } from './limit-watch.ts';
import { SlotKeeper } from './slot-keeper.ts';

const TICK_MS = 200;

/** @returns how often the limits of one settled cgroup are read in ten seconds. */
const readsIn10s = (kind: 'observer' | 'scheduler', tellsLimits: boolean): number => {
  let reads = 0;
  const limits = new LimitsCache(() => {
    reads += 1;
    return DEFAULT_LIMITS;
  });
  const keeper = new SlotKeeper(new Ledger(), new ThrottleLedger());
  keeper.attach(new FakeKernel({ kind }), 0);
  const tree = new CgroupTree();
  const watch = new LimitWatch({ tree, keeper, limits, mount: '/nowhere', onChange: () => undefined });
  limits.track([{ cgroupId: 1n, path: '/kubepods' }], 0);
  let nowMs = 0;
  for (; nowMs < 5_000; nowMs += TICK_MS) watch.turn({ kind, tellsLimits }, 0, nowMs);
  reads = 0;
  for (; nowMs < 15_000; nowMs += TICK_MS) watch.turn({ kind, tellsLimits }, 0, nowMs);
  return reads;
};

describe('limits of cgroups', () => {
  it('are looked at within two seconds where a scheduler needs them and the kernel does not tell', () => {
    expect(readsIn10s('scheduler', false)).toBeGreaterThanOrEqual(5);
  });

  it('are looked at rarely where the kernel tells of every write, or nothing but pages show them', () => {
    expect(readsIn10s('scheduler', true)).toBeLessThanOrEqual(1);
    expect(readsIn10s('observer', false)).toBeLessThanOrEqual(1);
  });
});
