/** What the product promises of the demo's phases (issue, "How well"). Pure. */
import { ms, percent } from './figure-text.ts';
import type { Check, PhaseName, PhaseResult } from './result.ts';

/** Batch CPU as a share of what the services leave of the node. */
export const batchShare = (phase: PhaseResult, cpus: number): number =>
  phase.batchCpuSeconds / (phase.seconds * cpus - phase.serviceCpuSeconds);

const latencyTargets = (alone: PhaseResult, ours: PhaseResult): Check[] => [
  {
    name: 'scx-slo: p99 at most 1.5 x alone, and sustained',
    ok: ours.sustained && ours.p99Ms <= 1.5 * alone.p99Ms,
    detail: `${ms(ours.p99Ms)} is ${(ours.p99Ms / alone.p99Ms).toFixed(2)} x ${ms(alone.p99Ms)}${ours.sustained ? '' : ', not sustained'}`,
  },
];

const shedTarget = (overload: PhaseResult): Check => {
  const byImportance = overload.services.toSorted((a, b) => a.importance - b.importance);
  const [least, ...others] = byImportance;
  const first = least?.firstShedMs ?? Number.POSITIVE_INFINITY;
  return {
    name: 'overload: the less important service is told 429 first',
    ok:
      Number.isFinite(first) &&
      others.every((other) => (other.firstShedMs ?? Number.POSITIVE_INFINITY) > first),
    detail: byImportance
      .map(({ name, shed429, requests, firstShedMs }) =>
        firstShedMs === undefined
          ? `${name} none`
          : `${name} ${shed429} of ${requests}, the first after ${(firstShedMs / 1000).toFixed(1)} s`,
      )
      .join('; '),
  };
};

export const targetsOf = (phases: readonly PhaseResult[], cpus: number): Check[] => {
  const phase = (name: PhaseName) => phases.find((candidate) => candidate.name === name);
  const [alone, plain, ours, overload] = [
    phase('alone'),
    phase('default'),
    phase('scx-slo'),
    phase('overload'),
  ];
  const checks: Check[] = [];
  if (alone !== undefined && plain !== undefined) {
    checks.push({
      name: 'default: not sustained, or p99 at least 5 x alone',
      ok: !plain.sustained || plain.p99Ms >= 5 * alone.p99Ms,
      detail: plain.sustained
        ? `${(plain.p99Ms / alone.p99Ms).toFixed(1)} x alone`
        : `not sustained: ${plain.servedPerSecond} of ${(plain.requests / plain.seconds).toFixed(0)} requests/s served`,
    });
  }
  if (alone !== undefined && ours !== undefined) checks.push(...latencyTargets(alone, ours));
  if (ours !== undefined) {
    const share = batchShare(ours, cpus);
    checks.push({
      name: 'scx-slo: batch gets at least 90 % of the CPU that the service leaves',
      ok: share >= 0.9,
      detail: percent(share),
    });
  }
  if (overload !== undefined) checks.push(shedTarget(overload));
  return checks;
};
