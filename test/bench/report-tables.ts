/** Tables of a result: rows of cells, heads first. Pure. */
import { shortNumber } from './bar-picture.ts';
import { median } from './figures.ts';
import { latencyText } from './picture-axes.ts';
import type { PolicyResult, ScenarioResult } from './result.ts';

const NONE = '-';

/** Median, and the range when there are several runs. */
const cell = (values: readonly number[], show: (value: number) => string): string => {
  if (values.length === 0) return NONE;
  const middle = show(median(values));
  const [low, high] = [show(Math.min(...values)), show(Math.max(...values))];
  return low === high ? middle : `${middle} (${low} .. ${high})`;
};

const percent =
  (digits: number) =>
  (share: number): string =>
    `${(share * 100).toFixed(digits)} %`;

const keepsUp = ({ sustained, throughput }: PolicyResult): string => {
  if (sustained.length === 0) return NONE;
  const runs = sustained.filter(Boolean).length;
  if (runs === sustained.length) return 'yes';
  const rate = `${median(throughput).toFixed(0)}/s`;
  return runs === 0 ? `no (${rate})` : `in ${runs} of ${sustained.length} runs (${rate})`;
};

interface Column {
  head: string;
  show: (policy: PolicyResult, result: ScenarioResult) => string;
}

const ratioToAlone = (policy: PolicyResult, result: ScenarioResult): string => {
  const alone: PolicyResult | undefined = result.policies.alone;
  if (!alone || policy === alone || !policy.sustained.every(Boolean)) return NONE;
  const ratios = policy.p99Ms.flatMap((value, index) => {
    const base = alone.p99Ms[index];
    return base === undefined ? [] : [value / base];
  });
  return cell(ratios, (value) => value.toFixed(2));
};

const COLUMNS: readonly Column[] = [
  { head: 'keeps up', show: keepsUp },
  { head: 'p50', show: ({ p50Ms }) => cell(p50Ms, latencyText) },
  { head: 'p99', show: ({ p99Ms }) => cell(p99Ms, latencyText) },
  { head: 'p99 / alone', show: ratioToAlone },
  { head: 'p99.9', show: ({ p999Ms }) => cell(p999Ms, latencyText) },
  { head: 'misses', show: ({ missRatio }) => cell(missRatio, percent(2)) },
  { head: 'batch of the rest', show: ({ batchCpuShare }) => cell(batchCpuShare, percent(1)) },
  {
    head: 'counted/s',
    show: ({ throughput, sustained }) =>
      sustained.length > 0 ? NONE : cell(throughput, (value) => value.toFixed(0)),
  },
  {
    head: 'its programs',
    show: ({ schedOverheadPct }) => cell(schedOverheadPct, (value) => `${value.toFixed(1)} % of CPU`),
  },
  {
    head: 'its processes',
    show: ({ policyCpuPct }) => cell(policyCpuPct, (value) => `${value.toFixed(1)} %`),
  },
];

/** Rows of cells, heads first; columns in which no policy has anything are left out. */
export const rowsOf = (result: ScenarioResult): string[][] => {
  const policies = Object.entries(result.policies);
  const columns = COLUMNS.filter(({ show }) => policies.some(([, policy]) => show(policy, result) !== NONE));
  return [
    ['policy', ...columns.map(({ head }) => head)],
    ...policies.map(([name, policy]) => [name, ...columns.map(({ show }) => show(policy, result))]),
  ];
};

/** What the scenario is about: one row of it a line, one policy a column. */
export const chartRows = ({ chart, policies }: ScenarioResult): string[][] =>
  chart === undefined
    ? []
    : [
        [chart.label, ...Object.keys(policies)],
        ...chart.rows.map(({ name, values }) => [
          name,
          ...Object.keys(policies).map((policy) => cell(values[policy] ?? [], shortNumber)),
        ]),
      ];

export const markdownTable = ([head = [], ...rows]: string[][]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map((_, column) => (column === 0 ? '---' : '---:')).join('|')}|`,
  ...rows.map((cells) => `| ${cells.join(' | ')} |`),
];

export const textTable = (rows: readonly string[][]): string => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] ?? '').length)),
  );
  return rows
    .map((cells) =>
      cells
        .map((value, column) =>
          column === 0 ? value.padEnd(widths[column] ?? 0) : value.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
};

/** One pod a row, for scenarios whose answer is not one service's latency. */
export const podRows = (result: ScenarioResult): string[][] => {
  const rows: string[][] = [];
  const seen = new Set<string>();
  for (const { policy, case: name } of result.windows) {
    const key = `${name} ${policy}`;
    if (seen.has(key) || !(policy in result.policies)) continue;
    seen.add(key);
    const windows = result.windows.filter(
      (one) => one.policy === policy && one.case === name && one.failure === undefined,
    );
    for (const pod of Object.keys(windows[0]?.pods ?? {})) {
      const list = (
        read: (one: NonNullable<(typeof windows)[number]['pods'][string]>) => number | undefined,
      ): number[] =>
        windows.flatMap((one) => {
          const figures = one.pods[pod];
          return figures === undefined ? [] : (read(figures) ?? []);
        });
      rows.push([
        name,
        policy,
        pod,
        cell(
          list(({ cpus }) => cpus / result.cpus),
          percent(1),
        ),
        cell(
          list(({ latency }) => latency?.p99Ms),
          latencyText,
        ),
        cell(
          list(({ waits }) => waits?.missRatio),
          percent(2),
        ),
        cell(
          list(({ progress }) => progress?.maxGapMs),
          latencyText,
        ),
      ]);
    }
  }
  return [['case', 'policy', 'pod', 'CPU of the node', 'p99', 'misses', 'longest wait of a thread'], ...rows];
};

/** What each program of a scheduler costs a wake-up, where that was counted. */
export const programRows = (result: ScenarioResult): string[][] => {
  const rows = new Map<string, { cells: string[]; ns: number[] }>();
  for (const { case: name, policy, programs } of result.windows) {
    for (const [program, ns] of Object.entries(programs?.byName ?? {})) {
      const key = `${name} ${policy} ${program}`;
      const row = rows.get(key) ?? { cells: [name, policy, program], ns: [] };
      row.ns.push(ns);
      rows.set(key, row);
    }
  }
  const lines = [...rows.values()].map(({ cells, ns }) => [...cells, cell(ns, (value) => value.toFixed(0))]);
  return lines.length === 0 ? [] : [['case', 'policy', 'program', 'ns a wake-up'], ...lines];
};
