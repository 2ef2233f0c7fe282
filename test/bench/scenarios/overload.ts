import { type Figures, median, type Target } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { cpuAtLeast, FLOOR_SHARE, missesAtMost, read } from '../targets.ts';
import { BATCH, batchPods, ONE_VIRTUAL_CPU, SHORT, servicePod } from './pods.ts';

const CASE = 'overload';
const IMPORTANCES = [90, 50, 20] as const;
const nameOf = (importance: number): string => `importance-${importance}`;

/** Two services that get the same differ by this much of their requests. */
const NOISE = 0.02;

/** Of the requests offered, answered within the window: a service that waits longer is not better off for it. */
const served = (figures: Figures, importance: number, policy?: string): number[] =>
  read(
    figures,
    CASE,
    (window) => {
      const latency = window.pods[nameOf(importance)]?.latency;
      return latency === undefined ? undefined : latency.servedPerSecond / latency.offeredPerSecond;
    },
    policy,
  );

const inOrder = (figures: Figures): Target => {
  const shares = IMPORTANCES.map((importance) => median(served(figures, importance)));
  const known = shares.every((share) => !Number.isNaN(share));
  return {
    name: 'the rest degrade in order of importance',
    ok: known
      ? shares.every((share, index) => index === 0 || share <= (shares[index - 1] ?? 0) + NOISE)
      : undefined,
    detail: !known
      ? 'no figures'
      : IMPORTANCES.map(
          (importance, index) =>
            `${importance}: ${((shares[index] ?? Number.NaN) * 100).toFixed(1)} % served`,
        ).join(', '),
  };
};

export const overload: Scenario = {
  name: 'overload',
  title: 'three services that want half the node each, importances 90, 50 and 20, beside batch',
  machine: ONE_VIRTUAL_CPU,
  policies: ['eevdf-requests', 'edf', 'scx-slo'],
  peers: false,
  cases: [
    {
      name: CASE,
      pods: [
        ...IMPORTANCES.map((importance) =>
          servicePod({ name: nameOf(importance), share: 0.5, request: 0.05, budgetMs: 20, importance }),
        ),
        ...batchPods(),
      ],
    },
  ],
  primary: nameOf(90),
  saturated: true,
  ...SHORT,
  chart: {
    label: 'share of the requests that were answered within the window',
    rows: IMPORTANCES.map((importance) => ({
      name: nameOf(importance),
      values: (figures, policy) => served(figures, importance, policy),
    })),
  },
  judge: (figures) => [
    missesAtMost(figures, CASE, nameOf(90), 0.02),
    inOrder(figures),
    cpuAtLeast(figures, CASE, BATCH, FLOOR_SHARE, 'batch keeps its floor of 10 %, less a tick a second'),
  ],
};
