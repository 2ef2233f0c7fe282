import type { Figures, Target } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { batchAtLeast, missesAtMost, p99Of, ratioAtMost, sustained } from '../targets.ts';
import { batchPods, ONE_VIRTUAL_CPU, SHORT, servicePod, TWO_WALL_CPUS, WALL } from './pods.ts';

const CASE = 'saturated';
const SERVICE = 'api';

const judge = (figures: Figures): Target[] => [
  sustained(figures, CASE, SERVICE),
  ratioAtMost(figures, CASE, 'p99', 'alone', p99Of(SERVICE), 1.15),
  missesAtMost(figures, CASE, SERVICE, 0.001),
  batchAtLeast(figures, CASE, 0.95),
];

export const noisyNeighbour: Scenario = {
  name: 'noisy-neighbour',
  title:
    'a service that needs 40 % of the node (request 20 %, budget 20 ms) beside three batch pods of four busy threads a CPU',
  machine: ONE_VIRTUAL_CPU,
  policies: ['alone', 'eevdf', 'eevdf-requests', 'edf', 'scx-slo'],
  peers: true,
  cases: [
    {
      name: CASE,
      pods: [servicePod({ name: SERVICE, share: 0.4, request: 0.2, budgetMs: 20 }), ...batchPods()],
    },
  ],
  primary: SERVICE,
  saturated: true,
  ...SHORT,
  judge,
};

/** The same on two CPUs in wall time, where wake-ups cross CPUs. Ratios are printed, not judged. */
export const noisyNeighbourWall: Scenario = {
  ...noisyNeighbour,
  name: 'noisy-neighbour-2cpu',
  machine: TWO_WALL_CPUS,
  ...WALL,
  judge: (figures) => [sustained(figures, CASE, SERVICE), batchAtLeast(figures, CASE, 0.95)],
};
