import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeKernel } from '../../test/fakes/kernel.ts';
import { SLO_CONTROL, SLO_HIST_BUCKETS, SLO_POLICY, SLO_SLOTS, SLO_STATS } from './layout.gen.ts';
import { MISS_REASONS, NO_SLOT, type SlotPolicy } from './port.ts';
import { MappedSlotMap, type SlotIndex, type SlotMemory } from './slot-map.ts';

const policy = (cgroupId: bigint, change: Partial<SlotPolicy> = {}): SlotPolicy => ({
  cgroupId,
  budgetNs: 50_000_000,
  importance: 90,
  reservedCpus: 1.5,
  creditCapNs: 100_000_000,
  creditSlot: 2,
  sloSlot: 2,
  parentSlot: NO_SLOT,
  idle: false,
  quotaNs: 0,
  periodUs: 0,
  limited: false,
  weight: 100,
  deadline: true,
  ...change,
});

const memoryWith = (change: Partial<SlotMemory> = {}): SlotMemory => ({
  policies: new ArrayBuffer(SLO_SLOTS * SLO_POLICY.size),
  stats: new ArrayBuffer(SLO_SLOTS * SLO_STATS.size),
  control: new ArrayBuffer(SLO_CONTROL.size),
  ...change,
});

const noIndex: SlotIndex = {
  set: () => undefined,
  delete: () => undefined,
  entries: () => new Map([[1n, 1]]),
};

const PLAIN_COUNTERS = [SLO_STATS.bursts, SLO_STATS.waitNs, SLO_STATS.ranNs, SLO_STATS.throttledNs];

/** Small enough that four of them add up exactly. */
const counter = fc.maxSafeNat().map((value) => Math.floor(value / 4));
const manyOf = (value: fc.Arbitrary<number>, length: number) =>
  fc.array(value, { minLength: length, maxLength: length });
const shardArbitrary = fc.record({
  plain: manyOf(counter, PLAIN_COUNTERS.length),
  misses: manyOf(counter, MISS_REASONS.length),
  max: counter,
  hist: manyOf(fc.nat(1_000_000), SLO_HIST_BUCKETS),
});
type Shard = typeof shardArbitrary extends fc.Arbitrary<infer T> ? T : never;

/** As the kernel writes it. */
const writeShard = (stats: ArrayBuffer, llc: number, slot: number, shard: Shard): void => {
  const view = new DataView(stats, (llc * SLO_SLOTS + slot) * SLO_STATS.size, SLO_STATS.size);
  const counters: [number, number][] = [
    ...shard.plain.map((value, i): [number, number] => [PLAIN_COUNTERS[i] ?? 0, value]),
    ...shard.misses.map((value, i): [number, number] => [SLO_STATS.misses + i * 8, value]),
    [SLO_STATS.maxWaitNs, shard.max],
  ];
  for (const [offset, value] of counters) view.setBigUint64(offset, BigInt(value), true);
  for (const [i, value] of shard.hist.entries()) view.setUint32(SLO_STATS.hist + i * 4, value, true);
};

const ownerOf = (index: Map<bigint, number>, slot: number): bigint | undefined =>
  [...index].find(([, taken]) => taken === slot)?.[0];

/** Frees the slot, and gives it to `nextId` where the step says so; the same in kernel and model. */
const takeStep = (
  kernel: FakeKernel,
  model: Map<bigint, number>,
  step: { assign: boolean; slot: number },
  nextId: bigint,
): void => {
  const owner = ownerOf(model, step.slot);
  if (owner !== undefined) {
    kernel.slots.release(step.slot, owner);
    model.delete(owner);
  }
  if (!step.assign) return;
  kernel.slots.assign(step.slot, policy(nextId));
  model.set(nextId, step.slot);
};

describe('MappedSlotMap', () => {
  it('publishes a policy with its index entry, and takes both back', () => {
    const kernel = new FakeKernel();
    expect(kernel.slots.assign(2, policy(77n))).toBeUndefined();
    expect(kernel.policy(2)).toMatchObject({ cgroupId: 77n, budgetNs: 50_000_000, deadline: true });
    expect(kernel.slots.index()).toEqual(new Map([[77n, 2]]));
    expect(kernel.slots.release(2, 77n)).toBeUndefined();
    expect(kernel.policy(2)).toBeUndefined();
    expect(kernel.slots.index().size).toBe(0);
  });

  it('writes numbers as the kernel reads them: fixed-point CPUs, clamped and rounded', () => {
    const policies = new ArrayBuffer(SLO_SLOTS * SLO_POLICY.size);
    const slots = new MappedSlotMap(memoryWith({ policies }), noIndex);
    const view = new DataView(policies, 3 * SLO_POLICY.size, SLO_POLICY.size);
    slots.assign(3, policy(5n, { reservedCpus: 1.5, budgetNs: 1.6, deadline: false }));
    expect(view.getUint32(SLO_POLICY.reservedCpus, true)).toBe(1.5 * 2 ** 20);
    expect(view.getBigUint64(SLO_POLICY.budgetNs, true)).toBe(2n);
    expect(view.getUint32(SLO_POLICY.flags, true)).toBe(0);
    slots.update(
      3,
      policy(5n, { reservedCpus: 1e9, budgetNs: Number.POSITIVE_INFINITY, weight: Number.NaN }),
    );
    expect(view.getUint32(SLO_POLICY.reservedCpus, true)).toBe(0xffffffff);
    expect(view.getBigUint64(SLO_POLICY.budgetNs, true)).toBe(BigInt(Number.MAX_SAFE_INTEGER));
    expect(view.getUint32(SLO_POLICY.weight, true)).toBe(0);
    slots.update(3, policy(5n, { reservedCpus: -1, budgetNs: -5 }));
    expect(view.getUint32(SLO_POLICY.reservedCpus, true)).toBe(0);
    expect(view.getBigUint64(SLO_POLICY.budgetNs, true)).toBe(0n);
  });

  it('starts a slot with zeroed counters, in every LLC', () => {
    const kernel = new FakeKernel({ llcs: 3 });
    kernel.slots.assign(4, policy(8n));
    kernel.addWaits(4, 30, 12, 1_000);
    kernel.addMisses(4, 'stall', 3);
    expect(kernel.slots.stats(4)).toMatchObject({ bursts: 12, waitNs: 12_000, misses: { stall: 3 } });
    kernel.slots.release(4, 8n);
    kernel.slots.assign(4, policy(9n));
    expect(kernel.slots.stats(4)).toMatchObject({ bursts: 0, waitNs: 0, misses: { stall: 0 } });
  });

  it('leaves the slot free when the index refuses', () => {
    const kernel = new FakeKernel();
    kernel.indexError = 'E2BIG';
    expect(kernel.slots.assign(2, policy(77n))).toMatchObject({ code: 'SLO_E_SLOT_INDEX', why: 'E2BIG' });
    expect(kernel.policy(2)).toBeUndefined();
  });

  it.each([-1, SLO_SLOTS, 1.5, Number.NaN])('refuses slot %s', (slot) => {
    const { slots } = new FakeKernel();
    expect(slots.assign(slot, policy(1n))?.code).toBe('SLO_E_SLOT');
    expect(slots.release(slot, 1n)?.code).toBe('SLO_E_SLOT');
    slots.update(slot, policy(1n));
    expect(slots.stats(slot).bursts).toBe(0);
  });

  it('sums counters over LLCs exactly up to 2^53, and takes the largest of the longest waits', () => {
    const arbitrary = fc.tuple(
      fc.array(shardArbitrary, { minLength: 1, maxLength: 4 }),
      fc.nat(SLO_SLOTS - 1),
    );
    fc.assert(
      fc.property(arbitrary, ([shards, slot]) => {
        const stats = new ArrayBuffer(SLO_SLOTS * SLO_STATS.size * shards.length);
        for (const [llc, shard] of shards.entries()) writeShard(stats, llc, slot, shard);
        const read = new MappedSlotMap(memoryWith({ stats }), noIndex).stats(slot);
        const sum = (pick: (shard: Shard) => number | undefined) =>
          shards.reduce((total, shard) => total + (pick(shard) ?? 0), 0);
        expect([read.bursts, read.waitNs, read.ranNs, read.throttledNs]).toEqual(
          PLAIN_COUNTERS.map((_, i) => sum((shard) => shard.plain[i])),
        );
        expect(MISS_REASONS.map((reason) => read.misses[reason])).toEqual(
          MISS_REASONS.map((_, i) => sum((shard) => shard.misses[i])),
        );
        expect(read.maxWaitNs).toBe(Math.max(...shards.map((shard) => shard.max)));
        const buckets = Array.from({ length: SLO_HIST_BUCKETS }, (_, i) => sum((shard) => shard.hist[i]));
        expect([...read.hist]).toEqual(buckets);
      }),
      { numRuns: 30 },
    );
  });

  it('keeps kernel and agent in step over any sequence of changes', () => {
    const step = fc.record({ assign: fc.boolean(), slot: fc.integer({ min: 2, max: 6 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const kernel = new FakeKernel();
        const expected = new Map<bigint, number>();
        for (const [i, one] of steps.entries()) takeStep(kernel, expected, one, BigInt(100 + i));
        expect(kernel.slots.index()).toEqual(expected);
        for (const slot of [2, 3, 4, 5, 6]) {
          expect(kernel.policy(slot)?.cgroupId).toBe(ownerOf(expected, slot));
        }
      }),
    );
  });

  it('bumps the generation once per publish', () => {
    const kernel = new FakeKernel();
    kernel.slots.publish();
    kernel.slots.publish();
    expect(kernel.generation).toBe(2);
  });

  it('reads parts of the stats alone, and sees any activity', () => {
    const kernel = new FakeKernel({ llcs: 2 });
    const throttling = { periods: 9, throttledPeriods: 4, throttledNs: 2 ** 33 };
    expect(kernel.slots.activity(3)).toBe(0);
    kernel.addThrottling(3, throttling);
    kernel.tellLimitChange(3);
    expect(kernel.slots.throttling(3)).toEqual(throttling);
    expect(kernel.slots.stats(3)).toMatchObject(throttling);
    expect(kernel.slots.limitChanges(3)).toBe(1);
    const seen = [kernel.slots.activity(3)];
    kernel.addRun(3, 5);
    seen.push(kernel.slots.activity(3));
    kernel.addWaits(3, 7, 1, 1_000);
    seen.push(kernel.slots.activity(3));
    kernel.addMisses(3, 'stall', 1);
    seen.push(kernel.slots.activity(3));
    expect(new Set(seen).size).toBe(4);
  });

  it('weighs the system and reserves for it without assigning its slot', () => {
    const kernel = new FakeKernel();
    kernel.slots.weighSystem(300);
    kernel.slots.reserveSystem(0.75, 75e6);
    expect(kernel.system).toEqual({
      weight: 300,
      parentSlot: NO_SLOT,
      reservedCpus: 0.75,
      creditCapNs: 75e6,
    });
    expect(kernel.slots.index().size).toBe(0);
  });

  it('is harmless after its memory is gone', () => {
    const memory = memoryWith();
    const slots = new MappedSlotMap(memory, noIndex);
    for (const buffer of Object.values(memory)) buffer.transfer();
    slots.publish();
    slots.beat(1n);
    slots.weighSystem(100);
    slots.reserveSystem(1, 1e8);
    slots.update(2, policy(1n));
    expect(slots.assign(2, policy(1n))?.code).toBe('SLO_E_CLOSED');
    expect(slots.release(2, 1n)?.code).toBe('SLO_E_CLOSED');
    expect(slots.stats(2).bursts).toBe(0);
    expect(slots.activity(2)).toBe(0);
    expect(slots.throttling(2).periods).toBe(0);
    expect(slots.index().size).toBe(0);
  });
});
