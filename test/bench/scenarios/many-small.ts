import { type Figures, type Target, windowsOf } from '../figures.ts';
import type { PodSpec, Scenario } from '../scenario.ts';
import { batchAtLeast, OURS } from '../targets.ts';
import { batchPods, ONE_VIRTUAL_CPU, SHORT, servicePod } from './pods.ts';

const CASE = 'saturated';
const SERVICES = 30;
const SHARE = 0.015;
const MISSES_MAX = 0.005;

/** Budgets from 5 to 100 ms in even steps of a ratio. */
const budgetMs = (index: number): number => Number((5 * 20 ** (index / (SERVICES - 1))).toFixed(1));

const services: PodSpec[] = Array.from({ length: SERVICES }, (_, index) =>
  servicePod({
    name: `service-${String(index + 1).padStart(2, '0')}`,
    share: SHARE,
    request: SHARE,
    budgetMs: budgetMs(index),
    importance: 50,
    // Short requests, so that the runs hold enough bursts of each pod to tell half a percent.
    requestMs: 1,
  }),
);

/** The pod that misses most, by run, in %. */
const worstPct = (figures: Figures, policy: string): number[] =>
  windowsOf(figures, policy, CASE).map(
    (window) =>
      100 * Math.max(...services.map(({ name }) => window.pods[name]?.waits?.missRatio ?? Number.NaN)),
  );

/** Of all runs together: a pod has a few hundred bursts in each. */
const missRatio = (figures: Figures, pod: string): number => {
  const waits = windowsOf(figures, OURS, CASE).flatMap((window) => window.pods[pod]?.waits ?? []);
  const bursts = waits.reduce((sum, one) => sum + one.bursts, 0);
  return bursts === 0 ? Number.NaN : waits.reduce((sum, one) => sum + one.misses, 0) / bursts;
};

const everyPod = (figures: Figures): Target => {
  const ratios = services.map(({ name }) => ({ name, ratio: missRatio(figures, name) }));
  const known = ratios.filter(({ ratio }) => !Number.isNaN(ratio)).toSorted((a, b) => b.ratio - a.ratio);
  const over = known.filter(({ ratio }) => ratio > MISSES_MAX);
  const worst = known[0];
  return {
    name: `every pod misses at most ${MISSES_MAX * 100} %`,
    ok: known.length < SERVICES ? undefined : over.length === 0,
    detail:
      worst === undefined
        ? 'no figures'
        : `${over.length} of ${known.length} pods above; worst ${worst.name} with ${(worst.ratio * 100).toFixed(2)} %`,
  };
};

export const manySmall: Scenario = {
  name: 'many-small',
  title: '30 services of 1.5 % of the node each, budgets from 5 to 100 ms, beside three batch pods',
  machine: ONE_VIRTUAL_CPU,
  policies: ['eevdf-requests', 'edf', 'scx-slo'],
  peers: false,
  cases: [{ name: CASE, pods: [...services, ...batchPods()] }],
  primary: services[0]?.name ?? '',
  saturated: true,
  ...SHORT,
  windowSeconds: 15,
  chart: {
    label: 'misses of the pod that misses most, in %',
    rows: [{ name: 'worst of 30', values: worstPct }],
    mark: { value: MISSES_MAX * 100, label: 'target' },
  },
  judge: (figures) => [everyPod(figures), batchAtLeast(figures, CASE, 0.95)],
};
