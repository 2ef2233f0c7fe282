/** Is the instrument right? What must hold for a run's figures to count (architecture, "Judging latency"). Pure. */
import { poissonArrivals } from './arrivals.ts';
import { type Figures, median, type Target, type WindowFigures, windowsOf } from './figures.ts';
import type { MeasuredRun, MeasuredService } from './measured.ts';
import { summarise, tailMeanMs } from './percentiles.ts';
import { ALONE_AGAIN, isService, type Scenario } from './scenario.ts';
import { spread } from './targets.ts';
import { checkAgainstTheory, replayMs } from './theory.ts';

const MAX_LATE_MS = 5;
/** The tail as the mean of its slowest 5 %: p99 of a short window hangs on a dozen requests. */
const TAIL_SHARE = 0.05;

const every = (
  name: string,
  values: readonly number[],
  ok: (value: number) => boolean,
  unit: string,
): Target => ({
  name,
  ok: values.length === 0 ? undefined : values.every(ok),
  detail: `${spread(values, 3)}${unit}`,
});

/** By policy: a saturated node's cgroups used all of its CPU, and no more. */
const accounts = (figures: Figures, policy: string): Target =>
  every(
    `${policy}: the cgroups' CPU adds up`,
    windowsOf(figures, policy).map((window) => window.accountedShare),
    (share) => share >= 0.97 && share <= 1.01,
    ' of CPUs x window',
  );

const costs = (window: WindowFigures): number[] =>
  Object.values(window.pods).flatMap(({ latency }) =>
    latency === undefined || latency.servedPerSecond === 0 ? [] : [latency.costMs / latency.nominalMs],
  );

const cost = (figures: Figures, policy: string): Target =>
  every(
    `${policy}: a request costs what was calibrated`,
    windowsOf(figures, policy).flatMap(costs),
    (ratio) => Math.abs(ratio - 1) <= 0.05,
    ' x nominal',
  );

const lateness = (figures: Figures): Target =>
  every(
    'requests start at their times',
    figures.windows.filter((window) => window.failure === undefined).map((window) => window.maxLateMs),
    (ms) => ms <= MAX_LATE_MS,
    ' ms late at worst',
  );

const servicesOf = (run: MeasuredRun, policy: string): MeasuredService[] =>
  run.windows.filter((window) => window.policy === policy).flatMap((window) => window.services);

/** The very arrivals of a window on an ideal CPU (Lindley's recursion). */
const replayed = (
  { seed, warmUpMs, ratePerSecond, requestMs, latenciesMs }: MeasuredService,
  workers: number,
) => {
  const seconds = warmUpMs / 1000 + (1.5 * latenciesMs.length) / ratePerSecond;
  const arrivals = poissonArrivals({ seed, ratePerSecond, seconds, workers });
  const first = arrivals.findIndex(({ atMs }) => atMs >= warmUpMs);
  return replayMs(arrivals, requestMs).slice(first, first + latenciesMs.length);
};

const REPLAY_TOLERANCE = 0.05;

const replay = (runs: readonly MeasuredRun[], cpus: number): Target[] => {
  const ratios = runs.flatMap((run) =>
    servicesOf(run, 'alone').flatMap((service) => {
      const ideal = summarise(replayed(service, cpus));
      const { p50Ms, p99Ms } = summarise(service.latenciesMs);
      return [p50Ms / ideal.p50Ms, p99Ms / ideal.p99Ms];
    }),
  );
  if (ratios.length === 0) return [];
  const within = (ratio: number): boolean => Math.abs(ratio - 1) <= REPLAY_TOLERANCE;
  const name = 'alone agrees with a replay of the same arrivals on an ideal CPU within 5 % (p50, p99)';
  return [every(name, ratios, within, ' x')];
};

/** Shorter windows say too little about the long run; the replay of their arrivals checks them. */
const LONG_RUN_SECONDS = 10;

/** One worker with Poisson arrivals and a fixed amount of work is an M/D/1 queue. */
const theory = (runs: readonly MeasuredRun[], cpus: number): Target[] => {
  const checks = runs.flatMap((run) =>
    servicesOf(run, 'alone').map((service) => {
      const { latenciesMs, requestMs, ratePerSecond } = service;
      const model = { ratePerSecond: ratePerSecond / cpus, serviceMs: requestMs };
      return checkAgainstTheory(summarise(latenciesMs), model);
    }),
  );
  if (checks.length === 0) return [];
  const loads = [...new Set(checks.map((check) => check.load.toFixed(2)))].join(', ');
  const p50 = spread(checks.map((check) => check.p50Ratio));
  const p99 = spread(checks.map((check) => check.p99Ratio));
  return [
    {
      name: 'alone agrees with queueing theory (M/D/1) within 20 %',
      ok: checks.every((check) => check.ok),
      detail: `load ${loads}: p50 ${p50} x, p99 ${p99} x the law's`,
    },
  ];
};

/** Two runs of the same requests in one boot, first and last. */
const agreement = (runs: readonly MeasuredRun[]): Target[] => {
  const worst = runs.flatMap((run) => {
    const again = servicesOf(run, ALONE_AGAIN);
    return again.flatMap((second) => {
      const first = servicesOf(run, 'alone').find(({ pod }) => pod === second.pod);
      if (first === undefined) return [];
      const ratio = (read: (latenciesMs: readonly number[]) => number): number =>
        Math.abs(read(second.latenciesMs) / read(first.latenciesMs) - 1);
      return [
        Math.max(
          ratio((all) => summarise(all).p50Ms),
          ratio((all) => tailMeanMs(all, TAIL_SHARE)),
        ),
      ];
    });
  });
  if (worst.length === 0) return [];
  return [
    every(
      'two alone runs agree within 5 %',
      worst.map((value) => value * 100),
      (value) => value <= 5,
      ' % apart (p50 or mean of the slowest 5 %)',
    ),
  ];
};

/** In wall time a host that has other work makes nonsense of everything; alone, a service must keep up. */
const quietHost = (figures: Figures): Target[] => {
  const alone = ['alone', ALONE_AGAIN].flatMap((policy) => windowsOf(figures, policy));
  const latencies = alone.flatMap(({ pods }) => Object.values(pods).flatMap(({ latency }) => latency ?? []));
  if (latencies.length === 0) return [];
  const keptUp = latencies.filter(({ sustained }) => sustained).length;
  return [
    {
      name: 'the host had nothing else to do: alone is sustained',
      ok: keptUp === latencies.length,
      detail: `in ${keptUp} of ${latencies.length} windows`,
    },
  ];
};

/** A/A: how much two runs of the same thing differ on this machine, for results that are not judged by ratios. */
export const aaSpread = (figures: Figures, pod: string): number => {
  const p99 = (policy: string): number[] =>
    windowsOf(figures, policy).flatMap((window) => window.pods[pod]?.latency?.p99Ms ?? []);
  const again = p99(ALONE_AGAIN);
  return median(p99('alone').map((value, index) => Math.abs((again[index] ?? Number.NaN) / value - 1)));
};

export const validityOf = (scenario: Scenario, runs: readonly MeasuredRun[], figures: Figures): Target[] => {
  const policies = [...new Set(figures.windows.map((window) => window.policy))];
  const loaded = policies.filter((policy) => policy !== 'alone' && policy !== ALONE_AGAIN);
  const hasServices = scenario.cases.some((one) => one.pods.some(isService));
  const isExact = scenario.machine.clock === 'virtual';
  return [
    ...(isExact && scenario.windowSeconds >= LONG_RUN_SECONDS ? theory(runs, scenario.machine.cpus) : []),
    ...(isExact ? [...replay(runs, scenario.machine.cpus), ...agreement(runs)] : quietHost(figures)),
    ...(scenario.saturated ? loaded.map((policy) => accounts(figures, policy)) : []),
    ...(hasServices ? [...policies.map((policy) => cost(figures, policy)), lateness(figures)] : []),
  ].filter((check) => check.ok !== undefined);
};
