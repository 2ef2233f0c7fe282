import { type Figures, type Target, windowsOf } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { atLeast, OURS, PERCENT, p99Of, sustained } from '../targets.ts';
import { batchPods, ONE_VIRTUAL_CPU, SHORT, servicePod } from './pods.ts';

const CASE = 'saturated';
const SERVICE = 'api';

/** Of the p99 that eevdf adds over alone: the share that is gone under ours, by run. */
const removedShares = (figures: Figures): number[] =>
  windowsOf(figures, OURS, CASE).flatMap((ours) => {
    const p99 = (policy: string): number =>
      windowsOf(figures, policy, CASE).find(({ run }) => run === ours.run)?.pods[SERVICE]?.latency?.p99Ms ??
      Number.NaN;
    const removed = 1 - ((p99Of(SERVICE)(ours) ?? Number.NaN) - p99('alone')) / (p99('eevdf') - p99('alone'));
    return Number.isNaN(removed) ? [] : [removed];
  });

export const insideShare: Scenario = {
  name: 'inside-share',
  title: 'the same service at 20 % of the node, less than its fair share, beside the same batch',
  machine: ONE_VIRTUAL_CPU,
  policies: ['alone', 'eevdf', 'eevdf-requests', 'edf', 'scx-slo'],
  peers: true,
  cases: [
    {
      name: CASE,
      pods: [servicePod({ name: SERVICE, share: 0.2, request: 0.2, budgetMs: 20 }), ...batchPods()],
    },
  ],
  primary: SERVICE,
  saturated: true,
  ...SHORT,
  judge: (figures) => {
    const targets: Target[] = [
      sustained(figures, CASE, SERVICE),
      atLeast('of the p99 that eevdf adds over alone, 95 % is gone', removedShares(figures), 0.95, PERCENT),
    ];
    return targets;
  },
};
