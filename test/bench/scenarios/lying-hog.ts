import type { Figures, Target } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { cpuAtLeast, FLOOR_SHARE, missesAtMost, sustained } from '../targets.ts';
import { BATCH, batchPods, ONE_VIRTUAL_CPU, SHORT, servicePod } from './pods.ts';

const CASE = 'saturated';
const SERVICE = 'api';

const judge = (figures: Figures): Target[] => [
  sustained(figures, CASE, SERVICE),
  missesAtMost(figures, CASE, SERVICE, 0.005),
  cpuAtLeast(figures, CASE, BATCH, FLOOR_SHARE, 'batch keeps its floor of 10 %, less a tick a second'),
];

export const lyingHog: Scenario = {
  name: 'lying-hog',
  title:
    'a pod of busy threads claims a 1 ms budget (importance 50) beside a service (30 %, 20 ms, importance 90) and batch',
  machine: ONE_VIRTUAL_CPU,
  policies: ['eevdf-requests', 'edf', 'scx-slo'],
  peers: false,
  cases: [
    {
      name: CASE,
      pods: [
        servicePod({ name: SERVICE, share: 0.3, request: 0.2, budgetMs: 20, importance: 90 }),
        {
          name: 'liar',
          budgetMs: 1,
          importance: 50,
          containers: [{ name: 'spin', request: 0.1, work: { kind: 'hog', threadsPerCpu: 4 } }],
        },
        ...batchPods(),
      ],
    },
  ],
  primary: SERVICE,
  saturated: true,
  ...SHORT,
  judge,
};
