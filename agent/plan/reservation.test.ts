import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { creditCapNs } from './credit.ts';
import type { DemandSample } from './demand.ts';
import {
  MAX_SHARE,
  NO_RESERVATION,
  type NodeShare,
  type Reservation,
  stepReservation,
} from './reservation.ts';

const TICK_MS = 200;
const IDLE: NodeShare = { cpus: 2, othersCpus: 0 };

const demand = (cgroupId: bigint, cpusUsed: number, more: Partial<DemandSample> = {}): DemandSample => ({
  cgroupId,
  namespace: 'shop',
  importance: 50,
  requestCpus: 0,
  quotaCpus: undefined,
  ranNs: cpusUsed * TICK_MS * 1e6,
  waitNs: 0,
  overMisses: 0,
  ...more,
});

/** Waiting all the time with this many threads, as a pod without credit does. */
const starved = (cgroupId: bigint, threads: number, cpusUsed: number, more: Partial<DemandSample> = {}) =>
  demand(cgroupId, cpusUsed, {
    waitNs: (threads - cpusUsed) * TICK_MS * 1e6,
    overMisses: 5,
    ...more,
  });

const steps = (count: number, samples: DemandSample[], node = IDLE, before = NO_RESERVATION): Reservation => {
  let state = before;
  for (let index = 0; index < count; index += 1) state = stepReservation(state, samples, node, TICK_MS);
  return state;
};

const total = ({ granted }: Reservation): number => [...granted.values()].reduce((a, b) => a + b, 0);

describe('what a pod gets', () => {
  it('lets a pod that was never measured have a CPU, as far as there is one', () => {
    expect(steps(1, [demand(1n, 0)]).granted.get(1n)).toBe(1);
    expect(steps(1, [demand(1n, 0)], { cpus: 1, othersCpus: 0 }).granted.get(1n)).toBe(MAX_SHARE);
  });

  it('covers measured demand with headroom beside somebody who wants the rest', () => {
    const samples = [demand(1n, 0.4, { importance: 90 }), demand(2n, 2)];
    const { granted, ratios } = steps(60, samples);
    expect(granted.get(1n)).toBeCloseTo(0.46);
    expect(ratios.get(1n)).toBe(1);
    expect(granted.get(2n)).toBeCloseTo(2 * MAX_SHARE - 0.46);
    expect(ratios.get(2n)).toBeLessThan(0.6);
  });

  it('gives a CPU beyond the want while nobody else has one, the important first', () => {
    const idle = steps(60, [demand(1n, 0.1, { importance: 20 }), demand(2n, 0.1, { importance: 90 })]);
    expect(idle.granted.get(2n)).toBeCloseTo(1);
    expect(idle.granted.get(1n)).toBeCloseTo(2 * MAX_SHARE - 1);
  });

  it('follows demand that doubles within half a second on a full node, and lets go over seconds', () => {
    const rival = demand(2n, 2, { importance: 10 });
    const calm = steps(100, [demand(1n, 0.3), rival]);
    const before = calm.granted.get(1n) ?? 0;
    expect(before).toBeLessThan(0.45);
    // It runs what was granted and waits for the rest: two threads for 0.6 CPUs.
    const first = stepReservation(calm, [starved(1n, 2, before), rival], IDLE, TICK_MS);
    const second = stepReservation(first, [starved(1n, 2, 0.6), rival], IDLE, TICK_MS);
    expect(second.granted.get(1n)).toBeGreaterThanOrEqual(0.6);
    const later = steps(5, [demand(1n, 0.3), rival], IDLE, second);
    expect(later.granted.get(1n)).toBeGreaterThan(0.5);
    expect(steps(100, [demand(1n, 0.3), rival], IDLE, later).granted.get(1n)).toBeLessThan(0.4);
  });

  it('does not take a queue behind others for want of credit', () => {
    // Half of its time it waits, but it never used up what it has.
    const sample = demand(1n, 0.1, { waitNs: 0.1 * TICK_MS * 1e6 });
    expect(steps(60, [sample]).claims.get(1n)?.meanCpus).toBeCloseTo(0.1);
  });

  it('never counts more demand than there were threads to run', () => {
    const { claims } = steps(60, [starved(1n, 1, 0.3)]);
    expect(claims.get(1n)?.meanCpus).toBeLessThanOrEqual(1);
  });

  it('fits many small pods on one CPU: headroom waits for demand', () => {
    const node = { cpus: 1, othersCpus: 0.3 };
    const pods = Array.from({ length: 30 }, (_, n) => demand(BigInt(n + 1), 0.015, { importance: n + 1 }));
    for (const count of [1, 2, 10, 100]) {
      const state = steps(count, pods, node);
      expect(state.ratio).toBe(1);
      for (const { cgroupId } of pods) {
        expect(state.ratios.get(cgroupId)).toBe(1);
        expect(state.granted.get(cgroupId)).toBeGreaterThan(0.015);
      }
      expect(total(state)).toBeLessThanOrEqual(0.7 + 1e-9);
    }
  });
});

/** Poisson arrivals, the same in every run: requests in one step of a service. */
const arrivals = (): ((mean: number) => number) => {
  let state = 7;
  const uniform = (): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return (mean) => {
    let count = -1;
    for (let left = 1; left > Math.exp(-mean); left *= uniform()) count += 1;
    return count;
  };
};

describe('requests that come at random', () => {
  it.each([1, 3, 10])('are no change of demand: 30 small pods at %d ms a request still fit', (serviceMs) => {
    const node = { cpus: 1, othersCpus: 0.3 };
    const next = arrivals();
    const perStep = (0.015 * TICK_MS) / serviceMs;
    let state = NO_RESERVATION;
    for (let step = 0; step < 600; step += 1) {
      const pods = Array.from({ length: 30 }, (_, n) => {
        const ranNs = next(perStep) * serviceMs * 1e6;
        return demand(BigInt(n), 0, { importance: n + 1, ranNs, waitNs: ranNs * 1.5 });
      });
      state = stepReservation(state, pods, node, TICK_MS);
      if (step > 20) expect(state.ratio).toBe(1);
    }
  });
});

describe('who comes first', () => {
  it('serves requests, then the most important', () => {
    const samples = [
      demand(1n, 0.9, { importance: 90 }),
      demand(2n, 0.9, { importance: 10, requestCpus: 0.5 }),
      demand(3n, 0.9, { importance: 50 }),
    ];
    const { granted, ratio, ratios } = steps(60, samples);
    expect(granted.get(2n)).toBeCloseTo(0.5);
    expect(granted.get(1n)).toBeCloseTo(1.035);
    expect(granted.get(3n)).toBeCloseTo(2 * MAX_SHARE - 0.5 - 1.035);
    expect(ratios.get(1n)).toBe(1);
    expect(ratios.get(2n)).toBeCloseTo(0.5 / 0.9);
    expect(ratio).toBeCloseTo((0.9 + 0.5 + 2 * MAX_SHARE - 1.535) / 2.7);
  });

  it('leaves other pods what they asked for', () => {
    const { granted } = steps(60, [demand(1n, 1.5)], { cpus: 2, othersCpus: 1.2 });
    expect(granted.get(1n)).toBeCloseTo(0.8);
  });

  it('lets requests with and without an SLO give way alike where they exceed the node', () => {
    const node = { cpus: 2, othersCpus: 2 };
    expect(steps(60, [demand(1n, 2, { requestCpus: 2 })], node).granted.get(1n)).toBeCloseTo(1);
  });

  it('keeps to cpu.max and to the caps of namespaces', () => {
    const limited = demand(1n, 1, { quotaCpus: 0.25, requestCpus: 0.25 });
    expect(steps(3, [limited]).granted.get(1n)).toBeCloseTo(0.25);
    const namespaceCapCpus = (name: string) => (name === 'small' ? 0.3 : undefined);
    const samples = [
      demand(1n, 0.8, { namespace: 'small', importance: 90 }),
      demand(2n, 0.8, { namespace: 'small', importance: 80 }),
      demand(3n, 0.8, { namespace: 'other', importance: 10 }),
    ];
    const { granted, ratios } = steps(60, samples, { ...IDLE, namespaceCapCpus });
    expect(granted.get(1n)).toBeCloseTo(0.3);
    expect(granted.get(2n) ?? 0).toBeCloseTo(0);
    expect(ratios.get(2n)).toBeCloseTo(0);
    expect(granted.get(3n)).toBeGreaterThanOrEqual(0.88);
  });
});

const amount = fc.oneof(
  fc.double({ min: 0, max: 1e10, noNaN: true }),
  fc.constantFrom(0, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_VALUE),
);
const cpusAmount = fc.oneof(
  fc.double({ min: 0, max: 8, noNaN: true }),
  fc.constantFrom(0, Number.NaN, Number.POSITIVE_INFINITY, -3),
);
const anySample: fc.Arbitrary<DemandSample> = fc.record({
  cgroupId: fc.bigInt(1n, 6n),
  namespace: fc.constantFrom('a', 'b'),
  importance: fc.integer({ min: 1, max: 5 }),
  requestCpus: cpusAmount,
  quotaCpus: fc.option(cpusAmount, { nil: undefined }),
  ranNs: amount,
  waitNs: amount,
  overMisses: fc.oneof(fc.nat(3), fc.constant(Number.NaN)),
});
const anyCaps = fc.option(
  fc.record({ a: fc.double({ min: 0, max: 4, noNaN: true }), b: fc.constant(undefined) }),
  { nil: undefined },
);
const anyStep = fc.record({
  samples: fc.uniqueArray(anySample, { selector: (sample) => sample.cgroupId }),
  cpus: fc.integer({ min: 1, max: 8 }),
  othersCpus: cpusAmount,
  caps: anyCaps,
  dtMs: fc.constantFrom(0, 1, 200, 1000, 60_000),
});
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

const nodeOf = ({ cpus, othersCpus, caps }: Step): NodeShare =>
  caps === undefined
    ? { cpus, othersCpus }
    : { cpus, othersCpus, namespaceCapCpus: (name) => (name === 'a' ? caps.a : caps.b) };

const positive = (value: number): number => (value > 0 ? Math.min(value, Number.MAX_SAFE_INTEGER) : 0);
const NEARLY = 1e-9;

/** Every state that a history goes through, with the step that led to it. */
const play = (history: readonly Step[], check: (state: Reservation, step: Step) => void): void => {
  let state = NO_RESERVATION;
  for (const step of history) {
    state = stepReservation(state, step.samples, nodeOf(step), step.dtMs);
    if (step.dtMs > 0) check(state, step);
  }
};

const always = (check: (state: Reservation, step: Step) => void): void =>
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 1, maxLength: 8 }), (history) => play(history, check)),
  );

describe('for any history, whatever the counters say', () => {
  it('never grants more than its part of the node, cpu.max and the cap of the namespace', () => {
    always((state, { samples, cpus, caps }) => {
      expect([...state.granted.values()].every((grant) => Number.isFinite(grant) && grant >= 0)).toBe(true);
      expect(total(state)).toBeLessThanOrEqual(cpus * MAX_SHARE + NEARLY);
      const ofA = samples.filter(({ namespace }) => namespace === 'a');
      const sumOfA = ofA.reduce((sum, { cgroupId }) => sum + (state.granted.get(cgroupId) ?? 0), 0);
      expect(sumOfA).toBeLessThanOrEqual((caps?.a ?? cpus) + NEARLY);
      for (const { cgroupId, quotaCpus } of samples) {
        const most = quotaCpus === undefined ? cpus : positive(quotaCpus);
        expect(state.granted.get(cgroupId) ?? 0).toBeLessThanOrEqual(most + NEARLY);
      }
    });
  });

  it('never goes above a request with CPU that others can use of theirs', () => {
    always((state, { samples, cpus, othersCpus }) => {
      const goesAbove = samples.some(
        ({ cgroupId, requestCpus }) => (state.granted.get(cgroupId) ?? 0) > positive(requestCpus) + NEARLY,
      );
      if (goesAbove) expect(total(state)).toBeLessThanOrEqual(cpus - positive(othersCpus) + NEARLY);
    });
  });

  it('meets demand within the request where all requests fit, whoever else is more important', () => {
    always((state, { samples, cpus, othersCpus, caps }) => {
      const demandWithin = samples.map(({ cgroupId, requestCpus }) =>
        Math.min(state.claims.get(cgroupId)?.demandCpus ?? 0, positive(requestCpus)),
      );
      const wanted = demandWithin.reduce((a, b) => a + b, 0);
      if (caps !== undefined || wanted > cpus * MAX_SHARE || wanted + positive(othersCpus) > cpus) return;
      samples.forEach(({ cgroupId }, index) => {
        expect(state.granted.get(cgroupId) ?? 0).toBeGreaterThanOrEqual((demandWithin[index] ?? 0) - NEARLY);
      });
    });
  });

  it('says ratios between 0 and 1, and 1 exactly where what was measured is reserved', () => {
    always((state, { samples }) => {
      expect(state.ratio >= 0 && state.ratio <= 1).toBe(true);
      for (const { cgroupId } of samples) {
        const ratio = state.ratios.get(cgroupId) ?? Number.NaN;
        expect(ratio >= 0 && ratio <= 1).toBe(true);
        const { meanCpus } = state.claims.get(cgroupId) ?? { meanCpus: Number.NaN };
        if (ratio < 1) expect(state.granted.get(cgroupId) ?? 0).toBeLessThan(meanCpus);
      }
    });
  });

  it('never gives a pod less because it is more important', () => {
    void fc.assert(
      fc.property(
        fc.array(anyStep, { maxLength: 3 }),
        anyStep.filter(({ samples, dtMs }) => samples.length > 0 && dtMs > 0),
        fc.nat(),
        fc.integer({ min: 1, max: 4 }),
        (history, step, which, more) => {
          let before = NO_RESERVATION;
          for (const past of history) before = stepReservation(before, past.samples, nodeOf(past), past.dtMs);
          const index = which % step.samples.length;
          const raised = step.samples.map((sample, at) =>
            at === index ? { ...sample, importance: sample.importance + more } : sample,
          );
          const id = step.samples[index]?.cgroupId ?? 0n;
          const grantOf = (samples: DemandSample[]): number =>
            stepReservation(before, samples, nodeOf(step), step.dtMs).granted.get(id) ?? 0;
          expect(grantOf(raised)).toBeGreaterThanOrEqual(grantOf(step.samples) - NEARLY);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

it('caps credit at several budgets of reserved time, with a floor for small reservations', () => {
  expect(creditCapNs(100e6, 0.5)).toBe(400e6);
  expect(creditCapNs(1e6, 0.5)).toBe(250e6);
  expect(creditCapNs(1e6, 0)).toBe(50e6);
});

describe('pods at rest', () => {
  const cpus = fc.array(fc.double({ min: 0, max: 2, noNaN: true }), { minLength: 1, maxLength: 5 });
  const rest = (used: readonly number[]) => used.map((_, index) => demand(BigInt(index), 0));

  it('have after one step of a second nearly what five steps give them', () => {
    void fc.assert(
      fc.property(cpus, fc.integer({ min: 1, max: 30 }), (used, ticks) => {
        const before = steps(
          ticks,
          used.map((use, index) => demand(BigInt(index), use)),
        );
        // The first second without demand is followed in each step: what was recent may still be a change.
        const calm = steps(5, rest(used), IDLE, before);
        const five = steps(5, rest(used), IDLE, calm);
        const one = stepReservation(calm, rest(used), IDLE, 5 * TICK_MS);
        for (const [id, claim] of five.claims) {
          expect(Math.abs((one.claims.get(id)?.meanCpus ?? 0) - claim.meanCpus)).toBeLessThan(0.05);
          expect(Math.abs((one.claims.get(id)?.wantCpus ?? 0) - claim.wantCpus)).toBeLessThan(0.05);
        }
      }),
    );
  });
});
