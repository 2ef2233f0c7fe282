/** Building blocks of the scenarios' judges. Pure. */
import { type Figures, median, pairedRatios, type Target, type WindowFigures, windowsOf } from './figures.ts';

export const OURS = 'scx-slo';

const text = (value: number, digits: number): string =>
  Number.isFinite(value) ? value.toFixed(digits) : 'unknown';

/** `1.08 (1.02 .. 1.11)`; where all are the same, the value alone. */
export const spread = (values: readonly number[], digits = 2): string => {
  if (values.length === 0) return 'no figures';
  const middle = text(median(values), digits);
  const [low, high] = [text(Math.min(...values), digits), text(Math.max(...values), digits)];
  return low === high ? middle : `${middle} (${low} .. ${high})`;
};

type Read = (window: WindowFigures) => number | undefined;

export const p99Of =
  (pod: string): Read =>
  (window) =>
    window.pods[pod]?.latency?.p99Ms;

/** How a value is printed: times `scale`, so many digits, then the unit. */
export interface Unit {
  scale: number;
  digits: number;
  text: string;
}

export const TIMES: Unit = { scale: 1, digits: 2, text: ' x' };
export const PERCENT: Unit = { scale: 100, digits: 2, text: ' %' };
export const MS: Unit = { scale: 1, digits: 1, text: ' ms' };
export const INSTRUCTIONS: Unit = { scale: 1, digits: 0, text: ' instructions' };

/** What work without an SLO always gets, less one tick a second: architecture section 10. */
export const FLOOR_SHARE = 0.096;

const show = (values: readonly number[], { scale, digits, text: unit }: Unit): string => {
  const scaled = values.map((value) => value * scale);
  return `${spread(scaled, digits)}${values.length === 0 ? '' : unit}`;
};

/** The median of the runs. */
export const atMost = (name: string, values: readonly number[], limit: number, unit: Unit): Target => ({
  name,
  ok: values.length === 0 ? undefined : median(values) <= limit,
  detail: show(values, unit),
});

/** The median of the runs. */
export const atLeast = (name: string, values: readonly number[], limit: number, unit: Unit): Target => ({
  name,
  ok: values.length === 0 ? undefined : median(values) >= limit,
  detail: show(values, unit),
});

/** `one` of each run of a policy in a case. */
export const read = (figures: Figures, caseName: string, one: Read, policy = OURS): number[] =>
  windowsOf(figures, policy, caseName).flatMap((window) => one(window) ?? []);

/** `one` in one case by the same in another, run by run. */
export const pairedCases = (
  figures: Figures,
  policy: string,
  caseName: string,
  baseCase: string,
  one: Read,
): number[] =>
  windowsOf(figures, policy, caseName).flatMap((window) => {
    const base = windowsOf(figures, policy, baseCase).find(({ run }) => run === window.run);
    const [value, reference] = [one(window), base === undefined ? undefined : one(base)];
    return value === undefined || reference === undefined ? [] : [value / reference];
  });

/** An instruction takes 2 ns on the virtual clock (test/vm/qemu.ts: icount shift 1). */
const NS_PER_INSTRUCTION = 2;

export const instructionsOf: Read = (window) =>
  window.programs === undefined ? undefined : window.programs.nsPerWakeUp / NS_PER_INSTRUCTION;

/** Every run keeps up with its load. */
export const sustained = (figures: Figures, caseName: string, pod: string, policy = OURS): Target => {
  const runs = windowsOf(figures, policy, caseName).flatMap((window) => window.pods[pod]?.latency ?? []);
  const rates = runs.map((latency) => latency.servedPerSecond / latency.offeredPerSecond);
  return {
    name: `${pod} is sustained`,
    ok: runs.length === 0 ? undefined : runs.every((latency) => latency.sustained),
    detail: `${runs.filter((latency) => latency.sustained).length} of ${runs.length} runs; served / offered ${spread(rates)}`,
  };
};

type RatioTarget = (
  figures: Figures,
  caseName: string,
  what: string,
  base: string,
  one: Read,
  limit: number,
) => Target;

const ratioTarget =
  (judge: typeof atMost, words: string): RatioTarget =>
  (figures, caseName, what, base, one, limit) =>
    judge(
      `${what} ${words} ${limit} x ${base}`,
      pairedRatios(figures, OURS, base, caseName, one),
      limit,
      TIMES,
    );

export const ratioAtMost = ratioTarget(atMost, 'at most');
export const ratioAtLeast = ratioTarget(atLeast, 'at least');

export const missesAtMost = (figures: Figures, caseName: string, pod: string, share: number): Target =>
  atMost(
    `${pod} misses at most ${share * 100} %`,
    read(figures, caseName, (window) => window.pods[pod]?.waits?.missRatio),
    share,
    PERCENT,
  );

/** CPU of the pods that are no service, as a share of what services and the bench leave of the node. */
export const batchAtLeast = (figures: Figures, caseName: string, share: number): Target =>
  atLeast(
    `batch gets at least ${share * 100} % of the CPU left`,
    read(figures, caseName, (window) => window.batchCpuShare),
    share,
    PERCENT,
  );

/** CPU of some pods together, as a share of the node. */
export const cpuAtLeast = (
  figures: Figures,
  caseName: string,
  pods: readonly string[],
  share: number,
  name: string,
): Target =>
  atLeast(
    name,
    read(
      figures,
      caseName,
      (window) => pods.reduce((total, pod) => total + (window.pods[pod]?.cpus ?? 0), 0) / figures.cpus,
    ),
    share,
    PERCENT,
  );

/** A value that should lie within `tolerance` (relative) of `nominal` in the median of the runs. */
export const within = (
  figures: Figures,
  caseName: string,
  name: string,
  one: Read,
  nominal: number,
  tolerance: number,
): Target => {
  const values = read(figures, caseName, one);
  return {
    name: `${name} within ${tolerance * 100} % of ${Number(nominal.toFixed(3))}`,
    ok: values.length === 0 ? undefined : Math.abs(median(values) / nominal - 1) <= tolerance,
    detail: spread(values, 3),
  };
};

/** Of the pod's threads, off the CPU; NaN where that is not known. */
export const longestWaitMs = (window: WindowFigures, pod: string): number =>
  window.pods[pod]?.progress?.maxGapMs ?? Number.NaN;

/** In every run. */
export const gapAtMost = (
  figures: Figures,
  caseName: string,
  pods: readonly string[],
  ms: number,
): Target => {
  const values = read(figures, caseName, (window) =>
    Math.max(...pods.map((pod) => longestWaitMs(window, pod))),
  );
  return {
    name: `no thread of ${pods.join(', ')} waits more than ${ms / 1000} s`,
    ok: values.length === 0 ? undefined : values.every((value) => value <= ms),
    detail: `longest ${show(values, MS)}`,
  };
};

/** No run ended with the policy failing or leaving. */
export const staysLoaded = (figures: Figures, caseName: string): Target => {
  const all = figures.windows.filter((window) => window.policy === OURS && window.case === caseName);
  const failures = all.flatMap((window) => window.failure ?? []);
  return {
    name: `${caseName}: the scheduler stays loaded`,
    ok: all.length === 0 ? undefined : failures.length === 0,
    detail: failures.length === 0 ? `${all.length} runs` : failures.join('; ').replaceAll('\n', ' '),
  };
};
