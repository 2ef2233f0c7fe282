/** The figures that scenarios are judged by, and how to pick among them. Pure. */

export interface PodFigures {
  /** CPUs used. */
  cpus: number;
  latency?: {
    requests: number;
    p50Ms: number;
    p99Ms: number;
    p999Ms: number;
    maxMs: number;
    /** The queue did not grow: see stream.ts. */
    sustained: boolean;
    offeredPerSecond: number;
    /** Where it is not sustained: the rate that is. */
    servedPerSecond: number;
    /** CPU of one request. */
    costMs: number;
    nominalMs: number;
  };
  waits?: { bursts: number; misses: number; byReason: Record<string, number>; missRatio: number };
  progress?: { perSecond: number; maxGapMs: number; leastPerSecond: number; mostPerSecond: number };
}

/** One policy in one window of one run. */
export interface WindowFigures {
  policy: string;
  case: string;
  run: number;
  scheduler: string;
  failure?: string;
  seconds: number;
  pods: Record<string, PodFigures>;
  /** CPUs by `pod/container`. */
  containers: Record<string, number>;
  /** Cgroups' CPU as a share of CPUs x window. */
  accountedShare: number;
  /**
   * Pods that are no service: their CPU as a share of what services and the bench itself leave of the node. What the
   * policy's own processes use is not taken off: it is the policy's cost.
   */
  batchCpuShare?: number;
  /** Of the policy's own processes, such as the agent. */
  policyCpus?: number;
  otherCpus: number;
  maxLateMs: number;
  /** Of the scheduler's own programs. */
  programs?: {
    nsPerWakeUp: number;
    wakeUpsPerSecond: number;
    overheadPct: number;
    byName: Record<string, number>;
  };
  slots?: { have: number; want: number };
}

/** What judges get: all windows of a scenario. */
export interface Figures {
  cpus: number;
  windows: readonly WindowFigures[];
}

/** A condition with what was found: a target, or something without which the figures do not count. */
export interface Target {
  name: string;
  /** undefined: there are no figures to judge. */
  ok: boolean | undefined;
  detail: string;
}

/** The windows of one policy in one case that worked, in the order of the runs. */
export const windowsOf = (figures: Figures, policy: string, caseName?: string): WindowFigures[] =>
  figures.windows
    .filter(
      (window) =>
        window.policy === policy &&
        window.failure === undefined &&
        (caseName === undefined || window.case === caseName),
    )
    .toSorted((a, b) => a.run - b.run);

/** CPUs that a pod used; NaN where that is not known. */
export const podCpus = (window: WindowFigures, pod: string): number => window.pods[pod]?.cpus ?? Number.NaN;

/** NaN of an empty list; of an even number the mean of the middle two. */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
};

/** `read` of each run of `policy` divided by the same of the same run of `base`. */
export const pairedRatios = (
  figures: Figures,
  policy: string,
  base: string,
  caseName: string,
  read: (window: WindowFigures) => number | undefined,
): number[] =>
  windowsOf(figures, policy, caseName).flatMap((window) => {
    const other = windowsOf(figures, base, caseName).find((one) => one.run === window.run);
    const value = read(window);
    const reference = other === undefined ? undefined : read(other);
    return value === undefined || reference === undefined ? [] : [value / reference];
  });
