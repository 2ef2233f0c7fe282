/** The control files of one cgroup that the plan needs (cgroup-v2.rst, "CPU Interface Files"). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CgroupLimits {
  /** cpu.weight, 1 .. 10000. */
  weight: number;
  /** cpu.max as CPUs; undefined: no limit. */
  quotaCpus: number | undefined;
}

export interface CpuStat {
  usageNs: number;
  throttledPeriods: number;
  throttledNs: number;
}

/** The kernel's own default, also where the cpu controller is not on for this cgroup. */
export const DEFAULT_LIMITS: CgroupLimits = { weight: 100, quotaCpus: undefined };

/** @returns undefined where the text is no weight. */
export const parseCpuWeight = (text: string): number | undefined => {
  const match = /^([0-9]{1,5})\n?$/.exec(text);
  const weight = Number(match?.[1]);
  return weight >= 1 && weight <= 10_000 ? weight : undefined;
};

/** `max 100000` or `50000 100000`, in us. @returns CPUs; undefined: no limit, or no such text. */
export const parseCpuMax = (text: string): number | undefined => {
  const match = /^([0-9]{1,15}) ([0-9]{1,15})\n?$/.exec(text);
  const quotaUs = Number(match?.[1]);
  const periodUs = Number(match?.[2]);
  return quotaUs > 0 && periodUs > 0 ? quotaUs / periodUs : undefined;
};

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
    throttledPeriods: values.get('nr_throttled') ?? 0,
    throttledNs: (values.get('throttled_usec') ?? 0) * 1000,
  };
};

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=12345` in us. @returns the total in ns; undefined without PSI. */
export const parseCpuPressureTotalNs = (text: string): number | undefined => {
  const match = /^some .*\btotal=([0-9]+)$/m.exec(text);
  return match?.[1] === undefined ? undefined : Number(match[1]) * 1000;
};

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined; // no controller, no permission, or the cgroup went away
  }
};

export const readCgroupLimits = (directory: string): CgroupLimits => {
  const weight = readIfThere(join(directory, 'cpu.weight'));
  if (weight === undefined) return DEFAULT_LIMITS;
  return {
    weight: parseCpuWeight(weight) ?? DEFAULT_LIMITS.weight,
    quotaCpus: parseCpuMax(readIfThere(join(directory, 'cpu.max')) ?? ''),
  };
};
