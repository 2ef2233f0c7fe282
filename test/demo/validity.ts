/** Is the instrument right? What must hold for a run to count (architecture, "Judging latency"). Pure. */
import { summarise, tailMeanMs } from '../bench/percentiles.ts';
import { checkAgainstTheory } from '../bench/theory.ts';
import { ms, percent } from './figure-text.ts';
import { PRIMARY, streamOf, sum, usedBy } from './phase-result.ts';
import type { Check, Measured, MeasuredPhase, PhaseName } from './result.ts';

export const find = (measured: Measured, name: MeasuredPhase['name']): MeasuredPhase | undefined =>
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

/** The tail as the mean of its slowest 5 %: p99 of a short run hangs on a dozen requests. */
const TAIL_SHARE = 0.05;

const agreement = (alone: MeasuredPhase, again: MeasuredPhase): Check => {
  const first = streamOf(alone, PRIMARY);
  const second = streamOf(again, PRIMARY);
  const same = first.latenciesMs.filter((_, index) => (first.startsMs[index] ?? 0) < again.load.windowMs);
  const a = { ...summarise(same), tailMs: tailMeanMs(same, TAIL_SHARE) };
  const b = { ...summarise(second.latenciesMs), tailMs: tailMeanMs(second.latenciesMs, TAIL_SHARE) };
  const worst = Math.max(Math.abs(b.p50Ms / a.p50Ms - 1), Math.abs(b.tailMs / a.tailMs - 1));
  return {
    name: 'alone: two runs of the same requests agree',
    ok: worst <= 0.05,
    detail: `p50 ${ms(a.p50Ms)} and ${ms(b.p50Ms)}, slowest 5 % on average ${ms(a.tailMs)} and ${ms(b.tailMs)} (p99 ${ms(a.p99Ms)} and ${ms(b.p99Ms)})`,
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

export const REPORTED: readonly PhaseName[] = ['alone', 'default', 'scx-slo', 'overload'];

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
