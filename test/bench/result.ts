/** build/bench/<scenario>.json (architecture section 8, with more fields). Pure. */
import type { Figures, Target, WindowFigures } from './figures.ts';
import type { MeasuredRun } from './measured.ts';
import { figuresOf } from './measured-figures.ts';
import { ALONE_AGAIN, type Chart, type Scenario } from './scenario.ts';
import { aaSpread, validityOf } from './validity.ts';

/** One list entry a run. A policy that failed in a run has none for it. */
export interface PolicyResult {
  scheduler: string;
  p50Ms: number[];
  p99Ms: number[];
  p999Ms: number[];
  maxMs: number[];
  /** Of the primary service: requests/s; without one, what the programs counted a second. */
  throughput: number[];
  sustained: boolean[];
  batchCpuShare: number[];
  missRatio: number[];
  schedOverheadPct: number[];
  /** Of the policy's own processes, such as the agent. */
  policyCpuPct: number[];
  failures: string[];
}

export interface ChartResult {
  label: string;
  rows: { name: string; values: Record<string, number[]> }[];
  mark?: { value: number; label: string };
}

/** Raised when a field changes its meaning: reports leave results of another format out. */
export const RESULT_FORMAT = 2;

export interface ScenarioResult {
  format: number;
  scenario: string;
  title: string;
  clock: 'virtual' | 'wall';
  kernel: string;
  cpus: number;
  llcs: number;
  runs: number;
  primary?: string;
  /** Of the scenario's first case. */
  policies: Record<string, PolicyResult>;
  /** Two runs of `alone` differ by so much (p99, median over the runs), as a share. */
  aaSpread?: number;
  /** What the scenario is about, where that is not the primary service's latency: by row and policy, one entry a run. */
  chart?: ChartResult;
  validity: Target[];
  targets: Target[];
  /** Everything: policy, case, run, pods. */
  windows: WindowFigures[];
}

const round = (value: number, digits = 4): number => Number(value.toFixed(digits));

const policyResult = (scenario: Scenario, figures: Figures, policy: string): PolicyResult => {
  const first = scenario.cases[0]?.name;
  const all = figures.windows
    .filter((window) => window.policy === policy && window.case === first)
    .toSorted((a, b) => a.run - b.run);
  const windows = all.filter((window) => window.failure === undefined);
  const list = (read: (window: WindowFigures) => number | undefined): number[] =>
    windows.flatMap((window) => {
      const value = read(window);
      return value === undefined ? [] : [round(value)];
    });
  const primary = (window: WindowFigures) => window.pods[scenario.primary ?? ''];
  const counted = (window: WindowFigures): number | undefined => {
    const rates = Object.values(window.pods).flatMap(({ progress }) => progress?.perSecond ?? []);
    return rates.length === 0 ? undefined : rates.reduce((sum, rate) => sum + rate, 0);
  };
  return {
    scheduler: all[0]?.scheduler ?? '',
    p50Ms: list((window) => primary(window)?.latency?.p50Ms),
    p99Ms: list((window) => primary(window)?.latency?.p99Ms),
    p999Ms: list((window) => primary(window)?.latency?.p999Ms),
    maxMs: list((window) => primary(window)?.latency?.maxMs),
    throughput: list((window) => primary(window)?.latency?.servedPerSecond ?? counted(window)),
    sustained: windows.flatMap((window) => primary(window)?.latency?.sustained ?? []),
    batchCpuShare: list((window) => window.batchCpuShare),
    missRatio: list((window) => primary(window)?.waits?.missRatio),
    schedOverheadPct: list((window) => window.programs?.overheadPct),
    policyCpuPct: list((window) =>
      window.policyCpus === undefined ? undefined : (100 * window.policyCpus) / figures.cpus,
    ),
    failures: all.flatMap((window) => window.failure ?? []),
  };
};

const chartOf = (chart: Chart, figures: Figures, policies: readonly string[]): ChartResult => ({
  label: chart.label,
  rows: chart.rows.map(({ name, values }) => ({
    name,
    values: Object.fromEntries(
      policies.map((policy) => [
        policy,
        values(figures, policy)
          .filter(Number.isFinite)
          .map((value) => round(value)),
      ]),
    ),
  })),
  ...(chart.mark === undefined ? {} : { mark: chart.mark }),
});

export const resultOf = (scenario: Scenario, runs: readonly MeasuredRun[]): ScenarioResult => {
  const figures = figuresOf(scenario, runs);
  const policies = [...new Set(figures.windows.map((window) => window.policy))].filter(
    (policy) => policy !== ALONE_AGAIN,
  );
  const spread = scenario.primary === undefined ? Number.NaN : aaSpread(figures, scenario.primary);
  const inTableOrder = [...scenario.policies, ...policies].filter(
    (policy, index, all) => policies.includes(policy) && all.indexOf(policy) === index,
  );
  return {
    format: RESULT_FORMAT,
    scenario: scenario.name,
    title: scenario.title,
    clock: scenario.machine.clock,
    kernel: runs[0]?.kernel ?? '',
    cpus: scenario.machine.cpus,
    llcs: runs[0]?.llcs ?? 1,
    runs: runs.length,
    ...(scenario.primary === undefined ? {} : { primary: scenario.primary }),
    policies: Object.fromEntries(
      inTableOrder.map((policy) => [policy, policyResult(scenario, figures, policy)]),
    ),
    ...(Number.isNaN(spread) ? {} : { aaSpread: round(spread) }),
    ...(scenario.chart === undefined ? {} : { chart: chartOf(scenario.chart, figures, inTableOrder) }),
    validity: validityOf(scenario, runs, figures),
    targets: scenario.judge(figures),
    windows: [...figures.windows],
  };
};
