/** Measured windows -> figures. Pure. */
import type { Figures, PodFigures, WindowFigures } from './figures.ts';
import type { MeasuredProgress, MeasuredRun, MeasuredService, MeasuredWindow } from './measured.ts';
import { summarise } from './percentiles.ts';
import { isService, type PodSpec, type Scenario } from './scenario.ts';
import { isSustained } from './stream.ts';

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

const latencyOf = (
  service: MeasuredService,
  usedSeconds: number,
  seconds: number,
): NonNullable<PodFigures['latency']> => {
  const { p50Ms, p99Ms, p999Ms, maxMs, requests } = summarise(service.latenciesMs);
  return {
    requests,
    p50Ms,
    p99Ms,
    p999Ms,
    maxMs,
    sustained: isSustained(requests, service.backlog, service.oldestMs),
    offeredPerSecond: requests / seconds,
    servedPerSecond: service.servedInWindow / seconds,
    costMs: (usedSeconds * 1000) / service.servedInWindow,
    nominalMs: service.requestMs,
  };
};

const progressOf = (
  parts: readonly MeasuredProgress[],
  seconds: number,
): NonNullable<PodFigures['progress']> => ({
  perSecond: sum(parts.map((part) => part.count)) / seconds,
  maxGapMs: Math.max(...parts.map((part) => part.maxGapMs)),
  leastPerSecond: Math.min(...parts.map((part) => part.leastCount)) / seconds,
  mostPerSecond: Math.max(...parts.map((part) => part.mostCount)) / seconds,
});

const podFigures = (window: MeasuredWindow, name: string): PodFigures => {
  const seconds = window.windowMs / 1000;
  const used = window.podSeconds[name] ?? 0;
  const service = window.services.find((one) => one.pod === name);
  const waits = window.waits[name];
  const parts = window.progress.filter((one) => one.pod === name);
  const misses = sum(Object.values(waits?.misses ?? {}));
  return {
    cpus: used / seconds,
    ...(service === undefined ? {} : { latency: latencyOf(service, used, seconds) }),
    ...(waits === undefined
      ? {}
      : {
          waits: {
            bursts: waits.bursts,
            misses,
            byReason: waits.misses,
            missRatio: waits.bursts > 0 ? misses / waits.bursts : 0,
          },
        }),
    ...(parts.length === 0 ? {} : { progress: progressOf(parts, seconds) }),
  };
};

const programsOf = (window: MeasuredWindow, cpus: number): WindowFigures['programs'] => {
  if (window.programs === undefined) return undefined;
  const { programs, wakeUps, seconds } = window.programs;
  const ns = sum(programs.map((program) => program.ns));
  return {
    nsPerWakeUp: ns / wakeUps,
    wakeUpsPerSecond: wakeUps / seconds,
    overheadPct: (100 * ns) / (seconds * 1e9 * cpus),
    byName: Object.fromEntries(programs.map((program) => [program.name, program.ns / wakeUps])),
  };
};

const windowFigures = (
  window: MeasuredWindow,
  run: MeasuredRun,
  specs: readonly PodSpec[],
): WindowFigures => {
  const seconds = window.windowMs / 1000;
  const common = { policy: window.policy, case: window.case, run: run.run, scheduler: window.scheduler };
  const capacity = seconds * run.cpus;
  const services = specs.filter(isService).map((pod) => window.podSeconds[pod.name] ?? 0);
  const batch = specs.filter((pod) => !isService(pod)).map((pod) => window.podSeconds[pod.name] ?? 0);
  const benchSeconds = window.otherSeconds - (window.policySeconds ?? 0);
  const left = capacity - sum(services) - benchSeconds;
  const programs = programsOf(window, run.cpus);
  return {
    ...common,
    ...(window.failure === undefined ? {} : { failure: window.failure }),
    seconds,
    pods: Object.fromEntries(
      specs
        .filter(({ name }) => name in window.podSeconds || window.progress.some(({ pod }) => pod === name))
        .map(({ name }) => [name, podFigures(window, name)]),
    ),
    containers: Object.fromEntries(
      Object.entries(window.containerSeconds).map(([name, used]) => [name, used / seconds]),
    ),
    accountedShare: (window.podsSeconds + window.otherSeconds) / capacity,
    ...(sum(batch) > 0 ? { batchCpuShare: sum(batch) / left } : {}),
    ...(window.policySeconds === undefined ? {} : { policyCpus: window.policySeconds / seconds }),
    otherCpus: window.otherSeconds / seconds,
    maxLateMs: window.maxLateMs,
    ...(programs === undefined ? {} : { programs }),
    ...(window.slots === undefined ? {} : { slots: window.slots }),
  };
};

export const figuresOf = (scenario: Scenario, runs: readonly MeasuredRun[]): Figures => ({
  cpus: scenario.machine.cpus,
  windows: runs.flatMap((run) =>
    run.windows.map((window) => {
      const specs = scenario.cases.find((one) => one.name === window.case)?.pods ?? [];
      return windowFigures(window, run, specs);
    }),
  ),
});
