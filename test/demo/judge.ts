/** Measured phases -> the report's figures, the checks of the instrument, and the targets. Pure. */
import { summarise } from '../bench/percentiles.ts';
import type { StreamResult } from '../bench/stream.ts';
import { checkAgainstTheory } from '../bench/theory.ts';
import type {
  Check,
  DemoResult,
  Measured,
  MeasuredPhase,
  PhaseName,
  PhaseResult,
  ServiceResult,
} from './result.ts';

/** The service that people wait for: the figures of a phase are its figures. */
export const PRIMARY = 'checkout';

const round = (value: number, digits = 3): number => Number(value.toFixed(digits));
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

const streamOf = (phase: MeasuredPhase, name: string) => {
  const stream = phase.load.streams.find((candidate) => candidate.name === name);
  if (stream === undefined) throw new Error(`phase ${phase.name} has no load for ${name}`);
  return stream;
};

/** Turning requests away is no way to keep up: nearly all must be served. */
const MIN_SERVED_SHARE = 0.98;
const keepsUp = (stream: StreamResult): boolean =>
  stream.sustained && stream.served >= MIN_SERVED_SHARE * stream.offered;

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

const sumReasons = (misses: MeasuredPhase['misses']): Record<string, number> => {
  const byReason: Record<string, number> = {};
  for (const ofService of Object.values(misses)) {
    for (const [reason, count] of Object.entries(ofService))
      byReason[reason] = (byReason[reason] ?? 0) + count;
  }
  return byReason;
};

const servicesOf = (phase: MeasuredPhase, measured: Measured): ServiceResult[] =>
  phase.load.streams.map((stream) => ({
    name: stream.name,
    importance: measured.pods.find((pod) => pod.name === stream.name)?.importance ?? 0,
    requests: stream.offered,
    p99Ms: round(summarise(stream.latenciesMs).p99Ms),
    shed429: stream.shed,
    ...(stream.firstShedMs === undefined ? {} : { firstShedMs: round(stream.firstShedMs) }),
  }));

export const phaseResult = (phase: MeasuredPhase, name: PhaseName, measured: Measured): PhaseResult => {
  const stream = streamOf(phase, PRIMARY);
  const { p50Ms, p99Ms, p999Ms, maxMs } = summarise(stream.latenciesMs);
  const seconds = phase.load.windowMs / 1000;
  const missesByReason = sumReasons(phase.misses);
  return {
    name,
    scheduler: phase.scheduler,
    seconds: round(seconds),
    requests: stream.offered,
    sustained: keepsUp(stream),
    servedPerSecond: round(stream.servedInWindow / seconds, 1),
    p50Ms: round(p50Ms),
    p99Ms: round(p99Ms),
    p999Ms: round(p999Ms),
    maxMs: round(maxMs),
    serviceCpuSeconds: round(sum(Object.values(phase.cpu.services))),
    batchCpuSeconds: round(phase.cpu.batchSeconds),
    otherCpuSeconds: round(phase.cpu.otherSeconds),
    misses: sum(Object.values(missesByReason)),
    missesByReason,
    shed429: sum(phase.load.streams.map((one) => one.shed)),
    services: servicesOf(phase, measured),
  };
};

const usedBy = (phase: MeasuredPhase, service: string): number => phase.cpu.services[service] ?? 0;

const find = (measured: Measured, name: MeasuredPhase['name']): MeasuredPhase | undefined =>
  measured.phases.find((phase) => phase.name === name);

/** CPU per request stays what was calibrated; where 429s were given, work was not all of one kind. */
const costChecks = (phase: MeasuredPhase): Check[] =>
  phase.services.flatMap(({ name, nominalMs }) => {
    const stream = streamOf(phase, name);
    if (stream.shed > 0 || stream.servedInWindow === 0) return [];
    const costMs = (usedBy(phase, name) * 1000) / stream.servedInWindow;
    return [
      {
        name: `${phase.name}: ${name} costs what was calibrated`,
        ok: Math.abs(costMs / nominalMs - 1) <= 0.05,
        detail: `${costMs.toFixed(2)} ms of CPU a request, nominal ${nominalMs} ms`,
      },
    ];
  });

const MAX_LATE_MS = 20;

const phaseChecks = (phase: MeasuredPhase): Check[] => {
  const { streams } = phase.load;
  const failed = sum(streams.map((stream) => stream.failed));
  const lateMs = Math.max(...streams.map((stream) => stream.maxLateMs));
  const share = phase.cpu.accountedShare;
  const saturated: Check = {
    name: `${phase.name}: the cgroups' CPU adds up`,
    ok: share >= 0.97 && share <= 1.01,
    detail: `${percent(share)} of CPUs x window`,
  };
  return [
    ...costChecks(phase),
    ...(phase.cpu.batchSeconds > 0 ? [saturated] : []),
    {
      name: `${phase.name}: the load was what it should be`,
      ok: failed === 0 && lateMs <= MAX_LATE_MS,
      detail: `${failed} failed requests, latest start ${ms(lateMs)} after its time`,
    },
  ];
};

const agreement = (alone: MeasuredPhase, again: MeasuredPhase): Check => {
  const first = streamOf(alone, PRIMARY);
  const second = streamOf(again, PRIMARY);
  const same = first.latenciesMs.filter((_, index) => (first.startsMs[index] ?? 0) < again.load.windowMs);
  const a = summarise(same);
  const b = summarise(second.latenciesMs);
  const worst = Math.max(Math.abs(b.p50Ms / a.p50Ms - 1), Math.abs(b.p99Ms / a.p99Ms - 1));
  return {
    name: 'alone: two runs of the same requests agree',
    ok: worst <= 0.05,
    detail: `p50 ${ms(a.p50Ms)} and ${ms(b.p50Ms)}, p99 ${ms(a.p99Ms)} and ${ms(b.p99Ms)}`,
  };
};

/**
 * The server of the model is the CPU: what a request costs the load generator and what the agent needs meanwhile
 * count as service time too, as far as they fall on the service's CPU.
 */
const theory = (alone: MeasuredPhase, cpus: number): Check => {
  const stream = streamOf(alone, PRIMARY);
  const serviceMs = ((usedBy(alone, PRIMARY) + alone.cpu.otherSeconds / cpus) * 1000) / stream.servedInWindow;
  const rate = alone.services.find((service) => service.name === PRIMARY)?.ratePerSecond ?? 0;
  const found = checkAgainstTheory(summarise(stream.latenciesMs), { ratePerSecond: rate / cpus, serviceMs });
  return {
    name: 'alone: agrees with queueing theory (M/D/1)',
    ok: found.ok,
    detail: `at load ${found.load.toFixed(2)}: p50 is ${found.p50Ratio.toFixed(2)} x, p99 ${found.p99Ratio.toFixed(2)} x the law's (${ms(found.p50Ms)}, ${ms(found.p99Ms)})`,
  };
};

const REPORTED: readonly PhaseName[] = ['alone', 'default', 'scx-slo', 'overload'];

export const validityOf = (measured: Measured): Check[] => {
  const alone = find(measured, 'alone');
  const again = find(measured, 'alone again');
  const missing = REPORTED.filter((name) => find(measured, name) === undefined);
  return [
    ...(missing.length === 0
      ? []
      : [{ name: 'every phase ran', ok: false, detail: `missing: ${missing.join(', ')}` }]),
    ...(alone === undefined ? [] : [theory(alone, measured.cpus)]),
    ...(alone === undefined || again === undefined ? [] : [agreement(alone, again)]),
    ...measured.phases.flatMap(phaseChecks),
  ];
};

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

export const judge = (
  measured: Measured,
  environment: DemoResult['environment'],
  clock: DemoResult['clock'],
): DemoResult => {
  const phases = REPORTED.flatMap((name) => {
    const phase = find(measured, name);
    return phase === undefined ? [] : [phaseResult(phase, name, measured)];
  });
  return {
    environment,
    clock,
    kernel: measured.kernel,
    cpus: measured.cpus,
    pods: measured.pods,
    phases,
    validity: validityOf(measured),
    targets: targetsOf(phases, measured.cpus),
  };
};
