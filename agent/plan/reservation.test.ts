import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { creditCapNs } from './credit.ts';
import {
  type DemandSample,
  MAX_SHARE,
  NO_RESERVATION,
  type Reservation,
  stepReservation,
} from './reservation.ts';

const TICK_MS = 500;
const IDLE = { cpus: 2, othersCpus: 0 };

const demand = (cgroupId: bigint, cpusUsed: number, more: Partial<DemandSample> = {}): DemandSample => ({
  cgroupId,
  importance: 50,
  requestCpus: 0,
  quotaCpus: undefined,
  ranNs: cpusUsed * TICK_MS * 1e6,
  waitNs: 0,
  overMisses: 0,
  ...more,
});

const steps = (count: number, samples: DemandSample[], node = IDLE, before = NO_RESERVATION): Reservation => {
  let state = before;
  for (let index = 0; index < count; index += 1) state = stepReservation(state, samples, node, TICK_MS);
  return state;
};

describe('stepReservation', () => {
  it('lets a pod that was never measured claim a CPU, as far as there is one', () => {
    expect(steps(1, [demand(1n, 0)]).granted.get(1n)).toBe(1);
    expect(steps(1, [demand(1n, 0)], { cpus: 1, othersCpus: 0 }).granted.get(1n)).toBe(MAX_SHARE);
  });

  it('claims measured demand with headroom', () => {
    expect(steps(60, [demand(1n, 0.4)]).claims.get(1n)).toBeCloseTo(0.55);
  });

  it('grants up to a CPU beyond the claim while nobody else claims it, the important first', () => {
    const pods = [demand(1n, 0.1, { importance: 20 }), demand(2n, 0.1, { importance: 90 })];
    const idle = steps(60, pods);
    expect(idle.granted.get(2n)).toBeCloseTo(1);
    expect(idle.granted.get(1n)).toBeCloseTo(2 * MAX_SHARE - 1);
    const busy = steps(60, [demand(1n, 1.2, { importance: 20 }), demand(2n, 0.1, { importance: 90 })]);
    expect(busy.granted.get(2n)).toBeCloseTo(0.175);
    expect(busy.granted.get(1n)).toBeCloseTo(2 * MAX_SHARE - 0.175);
  });

  it('claims more within a few steps while the pod could not run, and less slowly', () => {
    const quiet = steps(60, [demand(1n, 0)]);
    expect(quiet.claims.get(1n)).toBeCloseTo(0.05);
    const starved = steps(4, [demand(1n, 0.1, { overMisses: 3 })], IDLE, quiet);
    expect(starved.claims.get(1n)).toBeGreaterThan(0.3);
    const busy = steps(1, [demand(1n, 1)]);
    expect(steps(2, [demand(1n, 0)], IDLE, busy).claims.get(1n)).toBeGreaterThan(0.7);
    expect(steps(60, [demand(1n, 0)], IDLE, busy).claims.get(1n)).toBeCloseTo(0.05);
  });

  it('serves requests first, then the most important', () => {
    const samples = [
      demand(1n, 0.9, { importance: 90 }),
      demand(2n, 0.9, { importance: 10, requestCpus: 0.5 }),
      demand(3n, 0.9, { importance: 50 }),
    ];
    const { granted, ratio } = steps(60, samples);
    expect(granted.get(2n)).toBeCloseTo(0.5);
    expect(granted.get(1n)).toBeCloseTo(2 * MAX_SHARE - 0.5);
    expect(granted.get(3n) ?? 0).toBeCloseTo(0);
    expect(ratio).toBeCloseTo((2 * MAX_SHARE) / (3 * (0.9 * 1.25 + 0.05)));
  });

  it('leaves other pods what they asked for', () => {
    const { granted } = steps(60, [demand(1n, 1.5)], { cpus: 2, othersCpus: 1.2 });
    expect(granted.get(1n)).toBeCloseTo(0.8);
  });

  it('never grants more than cpu.max', () => {
    expect(steps(3, [demand(1n, 1, { quotaCpus: 0.25, requestCpus: 0.25 })]).granted.get(1n)).toBeCloseTo(
      0.25,
    );
  });

  it('stays within its bounds for any history', () => {
    const amount = fc.double({ min: 0, max: 1e10, noNaN: true });
    const sample = fc.record({
      cgroupId: fc.bigInt(1n, 6n),
      importance: fc.integer({ min: 1, max: 100 }),
      requestCpus: fc.double({ min: 0, max: 8, noNaN: true }),
      quotaCpus: fc.option(fc.double({ min: 0.01, max: 8, noNaN: true }), { nil: undefined }),
      ranNs: amount,
      waitNs: amount,
      overMisses: fc.nat(100),
    });
    const step = fc.record({
      samples: fc.uniqueArray(sample, { selector: (s) => s.cgroupId }),
      node: fc.record({
        cpus: fc.integer({ min: 1, max: 8 }),
        othersCpus: fc.double({ min: 0, max: 9, noNaN: true }),
      }),
      dtMs: fc.constantFrom(0, 1, 250, 1000, 60_000),
    });
    void fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (history) => {
        let state = NO_RESERVATION;
        for (const { samples, node, dtMs } of history) {
          state = stepReservation(state, samples, node, dtMs);
          if (dtMs === 0) continue;
          const grants = [...state.granted.values()];
          expect(grants.every((cpus) => Number.isFinite(cpus) && cpus >= 0)).toBe(true);
          expect(grants.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(node.cpus * MAX_SHARE + 1e-9);
          expect(state.ratio).toBeGreaterThanOrEqual(0);
          expect(state.ratio).toBeLessThanOrEqual(1);
          for (const { cgroupId, quotaCpus } of samples) {
            expect(state.granted.get(cgroupId) ?? 0).toBeLessThanOrEqual((quotaCpus ?? 8) + 1e-9);
          }
        }
      }),
    );
  });
});

it('caps credit at several budgets of reserved time, with a floor for small reservations', () => {
  expect(creditCapNs(100e6, 0.5)).toBe(400e6);
  expect(creditCapNs(1e6, 0.5)).toBe(250e6);
  expect(creditCapNs(1e6, 0)).toBe(20e6);
});
