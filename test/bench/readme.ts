/**
 * Puts the results of build/bench into README.md, between its bench markers: what scx-slo must show, what was found, and the
 * latency tables. Run it after `make bench`: `make bench-readme`.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OverloadReport, tableOf } from './overload-http/figures.ts';
import { machineText, verdictOf } from './report.ts';
import { markdownTable, rowsOf } from './report-tables.ts';
import { RESULT_FORMAT, type ScenarioResult } from './result.ts';
import { SCENARIOS } from './scenarios/index.ts';

const project = join(import.meta.dirname, '../..');
const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';
/** Whose latency is the point: they get a table of all policies. */
const TABLES = ['noisy-neighbour', 'inside-share', 'above-request'];

/** `result` with the day of its file. */
export interface Dated {
  result: ScenarioResult;
  day: string;
}

const targetRows = (all: readonly Dated[]): string[][] => [
  ['scenario', 'scx-slo must show', 'verdict', 'found'],
  ...all.flatMap(({ result }) =>
    result.targets.map((target) => [result.scenario, target.name, verdictOf(target), target.detail]),
  ),
];

export interface DatedOverload {
  report: OverloadReport;
  day: string;
}

const overloadLines = ({ report, day }: DatedOverload): string[] => {
  const services = report.services.map(
    ({ name, importance, budgetMs }) => `${name} (importance ${importance}, ${budgetMs} ms)`,
  );
  return [
    `**overload-http**: three HTTP services offered more than the node can do: ${services.join(', ')}; the client library refuses what the signal says. g: CPU time of requests answered in budget / capacity. Linux ${report.kernel}, ${report.cpus} CPU, ${report.clock} clock, ${report.runs} run, ${day}.`,
    '',
    tableOf(report.windows),
    '',
  ];
};

/** The text between the markers. Pure. */
export const benchSection = (all: readonly Dated[], overload: DatedOverload | undefined): string => {
  const days = [...new Set(all.map(({ day }) => day))].sort((a, b) => a.localeCompare(b));
  const targets = all.flatMap(({ result }) => result.targets);
  const met = targets.filter(({ ok }) => ok === true).length;
  const tables = all
    .filter(({ result }) => TABLES.includes(result.scenario))
    .flatMap(({ result }) => [
      `**${result.scenario}**: ${result.title}. ${machineText(result)}.`,
      '',
      ...markdownTable(rowsOf(result)),
      '',
    ]);
  return [
    `From \`make bench\` on ${days.join(' and ')}: ${met} of ${targets.length} targets met. How it measures: [docs/bench.md](docs/bench.md).`,
    '',
    ...tables,
    ...(overload === undefined ? [] : overloadLines(overload)),
    ...markdownTable(targetRows(all)),
  ].join('\n');
};

/** Throws when the README has lost its markers. */
export const withSection = (readme: string, section: string): string => {
  const [from, to] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`README.md has no ${BEGIN} ... ${END}`);
  return `${readme.slice(0, from + BEGIN.length)}\n${section}\n${readme.slice(to)}`;
};

const dayOf = (file: string): string => statSync(file).mtime.toISOString().slice(0, 10);

const resultsHere = (): Dated[] =>
  SCENARIOS.flatMap(({ name }) => {
    const file = join(project, 'build/bench', `${name}.json`);
    if (!existsSync(file)) return [];
    const result: ScenarioResult = JSON.parse(readFileSync(file, 'utf8'));
    return result.format === RESULT_FORMAT ? [{ result, day: dayOf(file) }] : [];
  });

const overloadHere = (): DatedOverload | undefined => {
  const file = join(project, 'build/bench/overload-http.json');
  if (!existsSync(file)) return undefined;
  return { report: JSON.parse(readFileSync(file, 'utf8')), day: dayOf(file) };
};

if (import.meta.main) {
  const all = resultsHere();
  if (all.length === 0) throw new Error('no results in build/bench: run `make bench` first');
  const readme = join(project, 'README.md');
  writeFileSync(readme, withSection(readFileSync(readme, 'utf8'), benchSection(all, overloadHere())));
}
