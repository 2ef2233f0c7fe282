import { type Figures, podCpus, type Target, windowsOf } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { atMost, cpuAtLeast, OURS, p99Of, ratioAtMost, sustained, TIMES } from '../targets.ts';
import { BATCH, batchPods, ONE_VIRTUAL_CPU, SHORT, servicePod } from './pods.ts';

const CASE = 'saturated';
const SERVICE = 'api';

/** The batch pod that gets most, by the one that gets least: their weights are the same. */
const imbalance = (figures: Figures): number[] =>
  windowsOf(figures, OURS, CASE).map((window) => {
    const used = BATCH.map((pod) => podCpus(window, pod));
    return Math.max(...used) / Math.min(...used);
  });

const judge = (figures: Figures): Target[] => [
  sustained(figures, CASE, SERVICE),
  ratioAtMost(figures, CASE, 'p99', 'alone', p99Of(SERVICE), 1.5),
  ...BATCH.map((pod) => cpuAtLeast(figures, CASE, [pod], 0.1, `${pod} keeps its request of 10 %`)),
  atMost('equal weights of batch pods: most at most 1.05 x least', imbalance(figures), 1.05, TIMES),
];

export const aboveRequest: Scenario = {
  name: 'above-request',
  title: 'the same service at 60 % of the node with a request of 20 %, beside the same batch',
  machine: ONE_VIRTUAL_CPU,
  policies: ['alone', 'eevdf', 'eevdf-requests', 'edf', 'scx-slo'],
  peers: false,
  cases: [
    {
      name: CASE,
      pods: [servicePod({ name: SERVICE, share: 0.6, request: 0.2, budgetMs: 20 }), ...batchPods()],
    },
  ],
  primary: SERVICE,
  saturated: true,
  ...SHORT,
  judge,
};
