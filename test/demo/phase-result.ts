/** One measured phase -> its figures in result.json. Pure. */
import { summarise } from '../bench/percentiles.ts';
import type { StreamResult } from '../bench/stream.ts';
import type { Measured, MeasuredPhase, PhaseName, PhaseResult, ServiceResult } from './result.ts';

/** The service that people wait for: the figures of a phase are its figures. */
export const PRIMARY = 'checkout';

const round = (value: number, digits = 3): number => Number(value.toFixed(digits));

export const streamOf = (phase: MeasuredPhase, name: string) => {
  const stream = phase.load.streams.find((candidate) => candidate.name === name);
  if (stream === undefined) throw new Error(`phase ${phase.name} has no load for ${name}`);
  return stream;
};

/** Turning requests away is no way to keep up: nearly all must be served. */
const MIN_SERVED_SHARE = 0.98;
const keepsUp = (stream: StreamResult): boolean =>
  stream.sustained && stream.served >= MIN_SERVED_SHARE * stream.offered;

export const sum = (values: Iterable<number>): number =>
  [...values].reduce((total, value) => total + value, 0);

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

export const usedBy = (phase: MeasuredPhase, service: string): number => phase.cpu.services[service] ?? 0;
