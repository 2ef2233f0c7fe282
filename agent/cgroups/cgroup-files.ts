/** The control files of one cgroup that the plan needs (cgroup-v2.rst, "CPU Interface Files"). */
import { closeSync, openSync, readSync } from 'node:fs';

export interface CgroupLimits {
  /** cpu.weight, 1 .. 10000. */
  weight: number;
  /** cpu.idle */
  idle: boolean;
  /** cpu.max: CPU time in each period; 0: no limit. */
  quotaNs: number;
  /** 0 where there is no limit. */
  periodUs: number;
}

/** cpu.max; no limit: both 0. */
export type CpuMax = Pick<CgroupLimits, 'quotaNs' | 'periodUs'>;

export interface CpuStat {
  usageNs: number;
  /** In which the cgroup was runnable; 0 without a quota. */
  periods: number;
  throttledPeriods: number;
  throttledNs: number;
}

const NO_LIMIT: CpuMax = { quotaNs: 0, periodUs: 0 };

/** The kernel's own defaults, also where the cpu controller is not on for this cgroup. */
export const DEFAULT_LIMITS: CgroupLimits = { weight: 100, idle: false, ...NO_LIMIT };

/** @returns undefined where the text is no weight. Kernels before 6.12 print 0 for an idle group. */
export const parseCpuWeight = (text: string): number | undefined => {
  const match = /^([0-9]{1,5})\n?$/.exec(text);
  const weight = Number(match?.[1]);
  return weight >= 0 && weight <= 10_000 ? weight : undefined;
};

/** `max 100000` or `50000 100000`, in us. What is no such text is no limit. */
export const parseCpuMax = (text: string): CpuMax => {
  const match = /^([0-9]{1,15}) ([0-9]{1,9})\n?$/.exec(text);
  const quotaUs = Number(match?.[1]);
  const periodUs = Number(match?.[2]);
  return quotaUs > 0 && periodUs > 0 ? { quotaNs: quotaUs * 1000, periodUs } : NO_LIMIT;
};

/** @returns undefined: no limit. */
export const quotaCpusOf = ({ quotaNs, periodUs }: CpuMax): number | undefined =>
  quotaNs > 0 && periodUs > 0 ? quotaNs / (periodUs * 1000) : undefined;

export const sameLimits = (a: CgroupLimits, b: CgroupLimits): boolean =>
  a.weight === b.weight && a.idle === b.idle && a.quotaNs === b.quotaNs && a.periodUs === b.periodUs;

const keyedNumbers = (text: string): Map<string, number> => {
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(\w+) ([0-9]+)$/.exec(line);
    if (match?.[1] !== undefined) values.set(match[1], Number(match[2]));
  }
  return values;
};

/** Keys that the kernel leaves out (no cpu controller) count as 0. */
export const parseCpuStat = (text: string): CpuStat => {
  const values = keyedNumbers(text);
  return {
    usageNs: (values.get('usage_usec') ?? 0) * 1000,
    periods: values.get('nr_periods') ?? 0,
    throttledPeriods: values.get('nr_throttled') ?? 0,
    throttledNs: (values.get('throttled_usec') ?? 0) * 1000,
  };
};

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345` in us. @returns the total in ns; undefined without PSI. */
export const parseCpuPressureTotalNs = (text: string): number | undefined => {
  const match = /^some .*\btotal=([0-9]+)$/m.exec(text);
  return match?.[1] === undefined ? undefined : Number(match[1]) * 1000;
};

const buffer = Buffer.alloc(128);

/** A third of the cost of readFileSync, which matters for thousands of files a second. */
const readIfThere = (path: string): string | undefined => {
  let fd = -1;
  try {
    fd = openSync(path, 'r');
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    return undefined; // no controller, no permission, or the cgroup went away
  } finally {
    if (fd >= 0) closeSync(fd);
  }
};

/** An idle group weighs as little as can be: 1, or 0 on kernels before 6.12. */
const IDLE_WEIGHT = 1;

/** The third file, cpu.idle, is read only where it may say something. */
export const readCgroupLimits = (directory: string): CgroupLimits => {
  const weight = parseCpuWeight(readIfThere(`${directory}/cpu.weight`) ?? '');
  if (weight === undefined) return DEFAULT_LIMITS;
  return {
    weight: Math.max(1, weight),
    idle: weight <= IDLE_WEIGHT && readIfThere(`${directory}/cpu.idle`) === '1\n',
    ...parseCpuMax(readIfThere(`${directory}/cpu.max`) ?? ''),
  };
};

/** Does it, or a cgroup below it, hold a task? Where the kernel does not say: yes. */
export const readIsPopulated = (directory: string): boolean =>
  !/^populated 0$/m.test(readIfThere(`${directory}/cgroup.events`) ?? '');
