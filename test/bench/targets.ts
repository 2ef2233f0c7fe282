/** Building blocks of the scenarios' judges. Pure. */
import { type Figures, median, pairedRatios, type Target, type WindowFigures, windowsOf } from './figures.ts';

export const OURS = 'scx-slo';

const text = (value: number, digits: number): string =>
  Number.isFinite(value) ? value.toFixed(digits) : 'unknown';

/** `1.08 (1.02 .. 1.11)`; of one run the value alone. */
export const spread = (values: readonly number[], digits = 2): string => {
  if (values.length === 0) return 'no figures';
  const middle = text(median(values), digits);
  if (values.length === 1) return middle;
  return `${middle} (${text(Math.min(...values), digits)} .. ${text(Math.max(...values), digits)})`;
};

type Read = (window: WindowFigures) => number | undefined;

export const p99Of =
  (pod: string): Read =>
  (window) =>
    window.pods[pod]?.latency?.p99Ms;

/** Of all runs: the median must be within the bound. */
const bounded = (
  name: string,
  values: readonly number[],
  limit: { atMost: number } | { atLeast: number },
  unit: { scale: number; digits: number; text: string },
): Target => {
  const middle = median(values);
  const within = 'atMost' in limit ? middle <= limit.atMost : middle >= limit.atLeast;
  return {
    name,
    ok: values.length === 0 ? undefined : within,
    detail: `${spread(
      values.map((value) => value * unit.scale),
      unit.digits,
    )}${unit.text}`,
  };
};

const TIMES = { scale: 1, digits: 2, text: ' x' };
const PERCENT = { scale: 100, digits: 2, text: ' %' };
const MS = { scale: 1, digits: 1, text: ' ms' };

const read = (figures: Figures, caseName: string, one: Read, policy = OURS): number[] =>
  windowsOf(figures, policy, caseName).flatMap((window) => one(window) ?? []);

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

export const ratioAtMost = (
  figures: Figures,
  caseName: string,
  what: string,
  base: string,
  one: Read,
  limit: number,
): Target =>
  bounded(
    `${what} at most ${limit} x ${base}`,
    pairedRatios(figures, OURS, base, caseName, one),
    { atMost: limit },
    TIMES,
  );

export const ratioAtLeast = (
  figures: Figures,
  caseName: string,
  what: string,
  base: string,
  one: Read,
  limit: number,
): Target =>
  bounded(
    `${what} at least ${limit} x ${base}`,
    pairedRatios(figures, OURS, base, caseName, one),
    { atLeast: limit },
    TIMES,
  );

export const missesAtMost = (figures: Figures, caseName: string, pod: string, share: number): Target =>
  bounded(
    `${pod} misses at most ${share * 100} %`,
    read(figures, caseName, (window) => window.pods[pod]?.waits?.missRatio),
    { atMost: share },
    PERCENT,
  );

/** CPU of the pods that are no service, as a share of what services and the rest of the node leave. */
export const batchAtLeast = (figures: Figures, caseName: string, share: number): Target =>
  bounded(
    `batch gets at least ${share * 100} % of the CPU left`,
    read(figures, caseName, (window) => window.batchCpuShare),
    { atLeast: share },
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
  bounded(
    name,
    read(
      figures,
      caseName,
      (window) => pods.reduce((total, pod) => total + (window.pods[pod]?.cpus ?? 0), 0) / figures.cpus,
    ),
    { atLeast: share },
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

/** In every run. */
export const gapAtMost = (
  figures: Figures,
  caseName: string,
  pods: readonly string[],
  ms: number,
): Target => {
  const values = read(figures, caseName, (window) =>
    Math.max(...pods.map((pod) => window.pods[pod]?.progress?.maxGapMs ?? Number.NaN)),
  );
  return {
    name: `no thread of ${pods.join(', ')} waits more than ${ms / 1000} s`,
    ok: values.length === 0 ? undefined : values.every((value) => value <= ms),
    detail: `longest ${spread(values, MS.digits)}${MS.text}`,
  };
};

/** No run ended with the policy failing or leaving. */
export const staysLoaded = (figures: Figures, caseName: string): Target => {
  const all = figures.windows.filter((window) => window.policy === OURS && window.case === caseName);
  const failures = all.flatMap((window) => window.failure ?? []);
  return {
    name: `${caseName}: the scheduler stays loaded`,
    ok: all.length === 0 ? undefined : failures.length === 0,
    detail: failures.length === 0 ? `${all.length} runs` : failures.join('; '),
  };
};

export { bounded, MS, PERCENT, read, TIMES };
