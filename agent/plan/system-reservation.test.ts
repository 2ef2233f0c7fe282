import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  NO_SYSTEM_RESERVATION,
  type SystemNode,
  type SystemReservation,
  stepSystemReservation,
} from './system-reservation.ts';

const STEP_MS = 200;

/** kubepods of two CPUs weighs 79 beside system.slice with 100. */
const SMALL: SystemNode = { cpus: 2, weightShare: 100 / 179 };
const LARGE: SystemNode = { cpus: 64, weightShare: 100 / 2_600 };

/** Daemons that would use so many CPUs, on a node where pods want all of it: they get what is reserved for them. */
const busyFor = (
  seconds: number,
  wantedCpus: number,
  node: SystemNode,
  from: SystemReservation = NO_SYSTEM_RESERVATION,
): SystemReservation => {
  let state = from;
  for (let ms = 0; ms < seconds * 1_000; ms += STEP_MS) {
    const ranCpus = Math.min(wantedCpus, Math.max(state.reservedCpus, 1 / 8));
    const did = { ranNs: ranCpus * STEP_MS * 1e6, waitNs: (wantedCpus - ranCpus) * 8 * STEP_MS * 1e6 };
    state = stepSystemReservation(state, did, node, STEP_MS);
  }
  return state;
};

describe('the reservation of the node’s own daemons', () => {
  it('follows daemons that wait, as far as their weight goes, within seconds', () => {
    expect(busyFor(5, 0.8, SMALL).reservedCpus).toBeGreaterThan(0.8);
    expect(busyFor(5, 2.4, LARGE).reservedCpus).toBeGreaterThan(2.4);
    expect(busyFor(5, 40, LARGE).reservedCpus).toBeCloseTo(64 * LARGE.weightShare);
  });

  it('is small again after daemons that were busy', () => {
    const busy = busyFor(5, 0.8, SMALL);
    const idle = busyFor(20, 0.02, SMALL, busy);
    expect(idle.reservedCpus).toBeLessThan(0.15);
    expect(idle.demandCpus).toBeLessThan(0.05);
  });

  it('gives a daemon that wants everything half of the node for half a minute, then a quarter', () => {
    expect(busyFor(25, 2, SMALL).reservedCpus).toBe(1);
    const runaway = busyFor(60, 2, SMALL);
    expect(runaway).toMatchObject({ reservedCpus: 0.5, demandCpus: 0.5, isRunaway: true });
    expect(busyFor(600, 2, SMALL, runaway).reservedCpus).toBe(0.5);
  });

  it('trusts daemons again that were calm for a while', () => {
    const runaway = busyFor(60, 2, SMALL);
    const calm = busyFor(60, 0.1, SMALL, runaway);
    expect(calm.isRunaway).toBe(false);
    expect(busyFor(5, 0.9, SMALL, calm).reservedCpus).toBeGreaterThan(0.9);
  });

  it('changes nothing in no time or on no CPU', () => {
    const state = busyFor(1, 0.5, SMALL);
    const did = { ranNs: 1e9, waitNs: 1e9 };
    expect(stepSystemReservation(state, did, SMALL, 0)).toBe(state);
    expect(stepSystemReservation(state, did, SMALL, Number.NaN)).toBe(state);
    expect(stepSystemReservation(state, did, { ...SMALL, cpus: 0 }, STEP_MS)).toBe(state);
  });

  it('stays between an eighth of a CPU and half of the node, and its weight, whatever is measured', () => {
    const number = fc.oneof(
      fc.double({ min: 0, max: 1e12, noNaN: true }),
      fc.constantFrom(-1, Number.NaN, Infinity),
    );
    fc.assert(
      fc.property(
        fc.array(fc.record({ ranNs: number, waitNs: number, dtMs: fc.integer({ min: 1, max: 5_000 }) }), {
          maxLength: 60,
        }),
        fc.record({ cpus: fc.integer({ min: 1, max: 256 }), weightShare: number }),
        (steps, node) => {
          let state = NO_SYSTEM_RESERVATION;
          for (const { dtMs, ...did } of steps) {
            state = stepSystemReservation(state, did, node, dtMs);
            expect(state.reservedCpus).toBeGreaterThanOrEqual(1 / 8);
            expect(state.reservedCpus).toBeLessThanOrEqual(Math.max(1 / 8, node.cpus / 2));
            expect(state.demandCpus).toBeGreaterThanOrEqual(0);
            expect(state.demandCpus).toBeLessThanOrEqual(state.reservedCpus);
          }
        },
      ),
    );
  });
});
