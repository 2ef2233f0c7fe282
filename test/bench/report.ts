/** What a person reads of results: build/bench/report.md, and the same table on the terminal. Pure. */
import type { Target } from './figures.ts';
import { chartRows, markdownTable, podRows, programRows, rowsOf, textTable } from './report-tables.ts';
import type { ScenarioResult } from './result.ts';

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
        `- ${name}, ${failures.filter((one) => one === failure).length} of ${result.runs} runs: ${failure.replaceAll('\n', ' ')}`,
    ),
  );

const PODS_SHOWN_MAX = 60;

const section = (result: ScenarioResult): string[] => {
  const pods = podRows(result);
  const programs = programRows(result);
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
    ...(programs.length === 0
      ? []
      : ['<details><summary>every program</summary>', '', ...markdownTable(programs), '', '</details>', '']),
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
