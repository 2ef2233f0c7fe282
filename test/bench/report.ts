/** What a person reads of results: build/bench/report.md, and the same table on the terminal. Pure. */
import { shortNumber } from './bar-picture.ts';
import { median, type Target } from './figures.ts';
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
  { head: 'agent CPU', show: ({ agentCpuPct }) => cell(agentCpuPct, (value) => `${value.toFixed(1)} %`) },
];

/** Rows of cells, heads first; columns in which no policy has anything are left out. */
const rowsOf = (result: ScenarioResult): string[][] => {
  const policies = Object.entries(result.policies);
  const columns = COLUMNS.filter(({ show }) => policies.some(([, policy]) => show(policy, result) !== NONE));
  return [
    ['policy', ...columns.map(({ head }) => head)],
    ...policies.map(([name, policy]) => [name, ...columns.map(({ show }) => show(policy, result))]),
  ];
};

/** What the scenario is about: one row of it a line, one policy a column. */
const chartRows = ({ chart, policies }: ScenarioResult): string[][] =>
  chart === undefined
    ? []
    : [
        [chart.label, ...Object.keys(policies)],
        ...chart.rows.map(({ name, values }) => [
          name,
          ...Object.keys(policies).map((policy) => cell(values[policy] ?? [], shortNumber)),
        ]),
      ];

const markdownTable = ([head = [], ...rows]: string[][]): string[] => [
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

export const machineText = ({ clock, kernel, cpus, llcs, runs, aaSpread }: ScenarioResult): string => {
  const parts = [
    `Linux ${kernel}`,
    `${cpus} ${cpus === 1 ? 'CPU' : 'CPUs'}${llcs > 1 ? ` in ${llcs} LLCs` : ''}`,
    `${clock} clock`,
    `${runs} runs`,
  ];
  if (aaSpread !== undefined)
    parts.push(`two runs of alone differ by ${(aaSpread * 100).toFixed(1)} % (p99)`);
  return parts.join(', ');
};

const WORDS = { met: 'met', missed: 'MISSED', unknown: 'no figures' };

export const verdictOf = ({ ok }: Target): string => {
  if (ok === undefined) return WORDS.unknown;
  return ok ? WORDS.met : WORDS.missed;
};

const failuresOf = (result: ScenarioResult): string[] =>
  Object.entries(result.policies).flatMap(([name, { failures }]) =>
    [...new Set(failures)].map(
      (failure) =>
        `- ${name}, ${failures.filter((one) => one === failure).length} of ${result.runs} runs: ${failure.split('\n')[0]}`,
    ),
  );

/** One pod a row, for scenarios whose answer is not one service's latency. */
const podRows = (result: ScenarioResult): string[][] => {
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

const PODS_SHOWN_MAX = 60;

const section = (result: ScenarioResult): string[] => {
  const pods = podRows(result);
  const details =
    pods.length - 1 > PODS_SHOWN_MAX
      ? []
      : ['<details><summary>every pod</summary>', '', ...markdownTable(pods), '', '</details>', ''];
  const invalid = result.validity.filter(({ ok }) => ok === false);
  return [
    `## ${result.scenario}`,
    '',
    `${result.title[0]?.toUpperCase()}${result.title.slice(1)}. ${machineText(result)}.`,
    '',
    ...(invalid.length === 0
      ? []
      : [
          `**Checks of the instrument that failed, so read with care:** ${invalid.map(({ name, detail }) => `${name} (${detail})`).join('; ')}.`,
          '',
        ]),
    ...(result.chart === undefined ? [] : [...markdownTable(chartRows(result)), '']),
    ...markdownTable(rowsOf(result)),
    '',
    ...failuresOf(result),
    ...(failuresOf(result).length > 0 ? [''] : []),
    ...markdownTable([
      ['scx-slo must show', 'verdict', 'found'],
      ...result.targets.map((target) => [target.name, verdictOf(target), target.detail]),
    ]),
    '',
    ...details,
    '<details><summary>checks of the instrument</summary>',
    '',
    ...result.validity.map(({ name, ok, detail }) => `- ${ok ? 'ok' : 'FAILED'}: ${name}: ${detail}`),
    '',
    '</details>',
    '',
  ];
};

export const reportMarkdown = (results: readonly ScenarioResult[]): string => {
  const targets = results.flatMap((result) => result.targets.map((target) => ({ result, target })));
  const count = (ok: boolean | undefined): number => targets.filter(({ target }) => target.ok === ok).length;
  return [
    '# make bench',
    '',
    'Figures are medians over the runs, with the range in brackets. The virtual clock counts executed instructions, so a busy',
    'host makes a run slower, not different; it is used with one CPU only. Wall-time results depend on the host and are printed',
    'with the difference of two identical runs. `misses` are counted by the same observer under every policy.',
    '',
    `Targets: ${count(true)} met, ${count(false)} missed, ${count(undefined)} without figures.`,
    '',
    ...targets
      .filter(({ target }) => target.ok !== true)
      .map(
        ({ result, target }) =>
          `- ${result.scenario}: ${target.name}: ${verdictOf(target)} (${target.detail})`,
      ),
    '',
    ...results.flatMap(section),
  ].join('\n');
};

export const terminalText = (result: ScenarioResult): string =>
  [
    `${result.scenario}: ${machineText(result)}`,
    ...(result.chart === undefined ? [] : [textTable(chartRows(result))]),
    textTable(rowsOf(result)),
    ...failuresOf(result),
    ...result.validity
      .filter(({ ok }) => ok === false)
      .map(({ name, detail }) => `INVALID  ${name}: ${detail}`),
    ...result.targets.map((target) => `${verdictOf(target).padEnd(10)} ${target.name}: ${target.detail}`),
  ].join('\n');
