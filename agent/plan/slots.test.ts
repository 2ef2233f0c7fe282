import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_SLOT } from '../kernel/port.ts';
import type { DesiredSlot } from './desired-slot.ts';
import { PODS_SLOT } from './plan.ts';
import { REST_MS } from './slot-pool.ts';
import { SlotTable, type SlotWrite } from './slots.ts';

interface WishChange {
  creditOf?: number;
  sloOf?: number;
  ancestors?: number[];
  budgetNs?: number;
  fixedSlot?: number;
  limits?: Partial<DesiredSlot['policy']>;
}

const wish = (id: number, more: WishChange = {}): DesiredSlot => ({
  cgroupId: BigInt(id),
  path: `/c${id}`,
  owner: { kind: 'unknown-pod', podUid: String(id) },
  slo: undefined,
  creditOf: BigInt(more.creditOf ?? id),
  sloOf: BigInt(more.sloOf ?? id),
  ancestors: {
    ids: (more.ancestors ?? []).map(BigInt),
    otherwise: NO_SLOT,
    limited: false,
    idle: false,
    quotaCpus: undefined,
  },
  quotaCpus: undefined,
  fixedSlot: more.fixedSlot,
  policy: {
    cgroupId: BigInt(id),
    budgetNs: more.budgetNs ?? 0,
    importance: 1,
    reservedCpus: 0,
    creditCapNs: 0,
    weight: 100,
    idle: false,
    quotaNs: 0,
    periodUs: 0,
    limited: false,
    deadline: false,
    ...more.limits,
  },
});

const opsOf = (writes: SlotWrite[]): string[] =>
  writes.map(({ op, slot, entry }) => `${op} ${slot} ${entry.desired.path}`);

describe('SlotTable', () => {
  it('assigns once, updates what changed, releases what went', () => {
    const table = new SlotTable(16);
    expect(opsOf(table.reconcile([wish(1), wish(2)], 0).writes)).toEqual(['assign 2 /c1', 'assign 3 /c2']);
    expect(table.reconcile([wish(1), wish(2)], 1).writes).toEqual([]);
    expect(opsOf(table.reconcile([wish(2, { budgetNs: 5 })], 2).writes)).toEqual([
      'release 2 /c1',
      'update 3 /c2',
    ]);
  });

  it('lets a released slot rest before it is used again', () => {
    const table = new SlotTable(3);
    table.reconcile([wish(1)], 0);
    const blocked = table.reconcile([wish(2)], 10);
    expect(opsOf(blocked.writes)).toEqual(['release 2 /c1']);
    expect(blocked).toMatchObject({ waiting: 1, retryAtMs: 10 + REST_MS });
    expect(opsOf(table.reconcile([wish(2)], 10 + REST_MS).writes)).toEqual(['assign 2 /c2']);
  });

  it('points a container at the credit of its pod, and at its own when the pod has no slot', () => {
    const table = new SlotTable(16);
    const [pod, container] = table.reconcile([wish(1), wish(2, { creditOf: 1 })], 0).writes;
    expect(container?.entry.policy.creditSlot).toBe(pod?.slot);
    const { writes } = table.reconcile([wish(2, { creditOf: 1 })], 1);
    expect(writes.at(-1)).toMatchObject({ op: 'update', slot: 3, entry: { policy: { creditSlot: 3 } } });
  });

  it('points every slot at its nearest ancestor, and again when an ancestor comes or goes', () => {
    const table = new SlotTable(16);
    const pod = wish(2, { ancestors: [1] });
    const container = wish(3, { ancestors: [2, 1], sloOf: 2, creditOf: 2 });
    // slots 2, 3 and 4, in this order
    const [, , ofContainer] = table.reconcile([wish(1), pod, container], 0).writes;
    expect(ofContainer?.entry.policy).toMatchObject({ parentSlot: 3, sloSlot: 3, creditSlot: 3 });
    expect(table.get(2n)?.policy.parentSlot).toBe(2);
    expect(table.get(1n)?.policy.parentSlot).toBe(NO_SLOT);
    const { writes } = table.reconcile([wish(1), container], 1);
    expect(opsOf(writes)).toEqual(['release 3 /c2', 'update 4 /c3']);
    expect(table.get(3n)?.policy).toMatchObject({ parentSlot: 2, sloSlot: 4, creditSlot: 4 });
    table.reconcile([wish(1), pod, container], 2);
    expect(table.get(3n)?.policy).toMatchObject({ parentSlot: 5, sloSlot: 5, creditSlot: 5 });
  });

  it.each<[string, Partial<DesiredSlot['policy']>]>([
    ['weight', { weight: 39 }],
    ['cpu.idle', { idle: true }],
    ['quota', { quotaNs: 50e6 }],
    ['period', { periodUs: 50_000 }],
    ['the quota of an ancestor', { limited: true }],
  ])('updates a slot whose %s changed', (_, limits) => {
    const table = new SlotTable(16);
    table.reconcile([wish(1)], 0);
    const { writes } = table.reconcile([wish(1, { limits })], 1);
    expect(writes).toMatchObject([{ op: 'update', entry: { policy: limits } }]);
  });

  it('writes a new reservation without a plan, once', () => {
    const table = new SlotTable(16);
    table.reconcile([wish(1)], 0);
    expect(table.reserve(1n, 0.5, 7e6)).toMatchObject({
      op: 'update',
      slot: 2,
      entry: { policy: { reservedCpus: 0.5, creditCapNs: 7e6 } },
    });
    expect(table.reserve(1n, 0.5, 7e6)).toBeUndefined();
    expect(table.reserve(9n, 0.5, 7e6)).toBeUndefined();
    const planned = wish(1, { limits: { reservedCpus: 0.5, creditCapNs: 7e6 } });
    expect(table.reconcile([planned], 1).writes).toEqual([]);
  });

  it('keeps slot 1 for the pods root, also when that root is made anew', () => {
    const table = new SlotTable(16);
    const fixedSlot = PODS_SLOT;
    expect(opsOf(table.reconcile([wish(1, { fixedSlot }), wish(2)], 0).writes)).toEqual([
      'assign 1 /c1',
      'assign 2 /c2',
    ]);
    const changed = table.reconcile([wish(3, { fixedSlot }), wish(2)], 5);
    expect(opsOf(changed.writes)).toEqual(['release 1 /c1']);
    expect(changed.retryAtMs).toBe(5 + REST_MS);
    expect(opsOf(table.reconcile([wish(3, { fixedSlot })], 5 + REST_MS).writes)).toEqual([
      'release 2 /c2',
      'assign 1 /c3',
    ]);
  });

  it('tries again with another slot when the kernel refused one', () => {
    const table = new SlotTable(16);
    table.reconcile([wish(1)], 0);
    table.forget(1n, 0);
    expect(opsOf(table.reconcile([wish(1)], 1).writes)).toEqual(['assign 3 /c1']);
  });

  it('releases again what the kernel did not let go, and does not use the slot meanwhile', () => {
    const table = new SlotTable(3);
    table.reconcile([wish(1)], 0);
    const [release] = table.reconcile([], 0).writes;
    if (release === undefined) throw new Error('no release');
    table.restore(release.entry);
    expect(opsOf(table.reconcile([wish(2)], 2 * REST_MS).writes)).toEqual(['release 2 /c1']);
    expect(opsOf(table.reconcile([wish(2)], 3 * REST_MS).writes)).toEqual(['assign 2 /c2']);
  });

  it('equals the plan after any history, never leaks a slot and never hands one to two', () => {
    const capacity = 8;
    const step = fc.record({
      ids: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: capacity - 2 }),
      pauseMs: fc.constantFrom(0, 300, REST_MS),
    });
    void fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const table = new SlotTable(capacity);
        const kernel = new Map<number, bigint>();
        const restingUntil = new Map<number, number>();
        let nowMs = 0;
        const turn = (ids: number[]): number => {
          const { writes, waiting } = table.reconcile(
            ids.map((id) => wish(id)),
            nowMs,
          );
          for (const { op, slot, entry } of writes) {
            if (op === 'release') {
              expect(kernel.get(slot)).toBe(entry.desired.cgroupId);
              kernel.delete(slot);
              restingUntil.set(slot, nowMs + REST_MS);
            }
            if (op === 'assign') {
              expect(kernel.has(slot)).toBe(false);
              expect(restingUntil.get(slot) ?? 0).toBeLessThanOrEqual(nowMs);
              kernel.set(slot, entry.desired.cgroupId);
            }
          }
          expect(kernel.size + waiting).toBe(ids.length);
          return waiting;
        };
        for (const { ids, pauseMs } of steps) {
          nowMs += pauseMs;
          turn(ids);
        }
        const last = steps.at(-1)?.ids ?? [];
        nowMs += REST_MS;
        expect(turn(last)).toBe(0);
        expect(new Set(kernel.values())).toEqual(new Set(last.map(BigInt)));
        nowMs += REST_MS;
        expect(turn([])).toBe(0);
        nowMs += REST_MS;
        expect(turn([1, 2, 3, 4, 5, 6])).toBe(0);
      }),
    );
  });
});
