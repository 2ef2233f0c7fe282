/** build/bench/<scenario>.svg. Pure. */
import { barPicture } from './bar-picture.ts';
import type { MeasuredRun } from './measured.ts';
import { type Curve, percentilePicture } from './percentile-picture.ts';
import { machineText } from './report.ts';
import type { ChartResult, ScenarioResult } from './result.ts';
import type { Scenario } from './scenario.ts';

/** All runs of a policy as one curve. */
const curveOf = (
  result: ScenarioResult,
  runs: readonly MeasuredRun[],
  caseName: string,
  policy: string,
): Curve => ({
  label: policy,
  latenciesMs: runs.flatMap((run) =>
    run.windows
      .filter((window) => window.policy === policy && window.case === caseName)
      .flatMap((window) => window.services)
      .filter(({ pod }) => pod === result.primary)
      .flatMap(({ latenciesMs }) => latenciesMs),
  ),
  sustained: result.policies[policy]?.sustained.every(Boolean) ?? false,
});

const latencyPicture = (scenario: Scenario, result: ScenarioResult, runs: readonly MeasuredRun[]): string => {
  const caseName = scenario.cases[0]?.name ?? '';
  const budgetMs = scenario.cases[0]?.pods.find(({ name }) => name === scenario.primary)?.budgetMs;
  return percentilePicture({
    title: scenario.name,
    subtitle: [machineText(result), scenario.title],
    curves: Object.keys(result.policies).map((policy) => curveOf(result, runs, caseName, policy)),
    ...(budgetMs === undefined
      ? {}
      : { limit: { ms: budgetMs, label: `budget: ${budgetMs} ms of waiting for a CPU` } }),
    note: result.validity.every(({ ok }) => ok === true)
      ? 'The same requests at the same times under every policy; all runs together.'
      : 'Some checks of the instrument failed: see the report.',
  });
};

const chartPicture = (result: ScenarioResult, chart: ChartResult): string =>
  barPicture({
    title: result.scenario,
    subtitle: [machineText(result), result.title],
    label: chart.label,
    groups: chart.rows.map(({ name, values }) => ({
      name,
      bars: Object.entries(values).map(([label, found]) => ({ label, values: found })),
    })),
    ...(chart.mark === undefined ? {} : { mark: chart.mark }),
  });

export const pictureOf = (
  scenario: Scenario,
  result: ScenarioResult,
  runs: readonly MeasuredRun[],
): string =>
  result.chart === undefined ? latencyPicture(scenario, result, runs) : chartPicture(result, result.chart);
