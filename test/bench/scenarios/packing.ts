import { type Figures, median, type Target, windowsOf } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { OURS, spread } from '../targets.ts';
import { batchPods, ONE_VIRTUAL_CPU, SHORT, servicePod } from './pods.ts';

const SERVICE = 'api';
const SLO_MS = 20;
const BASE = 'eevdf-requests';
const FACTOR = 1.5;

const STEPS = Array.from({ length: 17 }, (_, index) => Number((0.1 + 0.05 * index).toFixed(2)));
const stepName = (share: number): string => `${Math.round(share * 100)} %`;

/** The highest step up to which every step kept the SLO, by run; 0: none did. */
export const sustainedLoads = (figures: Figures, policy: string): number[] => {
  const runs = [...new Set(windowsOf(figures, policy).map(({ run }) => run))].toSorted((a, b) => a - b);
  return runs.map((run) => {
    const holds = (share: number): boolean => {
      const window = windowsOf(figures, policy, stepName(share)).find((one) => one.run === run);
      const latency = window?.pods[SERVICE]?.latency;
      return latency?.sustained === true && latency.p99Ms <= SLO_MS;
    };
    const failed = STEPS.findIndex((share) => !holds(share));
    return failed === -1 ? (STEPS.at(-1) ?? 0) : (STEPS[failed - 1] ?? 0);
  });
};

const judge = (figures: Figures): Target[] => {
  const [ours, base] = [sustainedLoads(figures, OURS), sustainedLoads(figures, BASE)];
  const known = ours.length > 0 && base.length > 0;
  const saved = 1 - median(base) / median(ours);
  const percent = (values: readonly number[]): string =>
    `${spread(
      values.map((value) => value * 100),
      0,
    )} %`;
  return [
    {
      name: `sustained load at p99 <= ${SLO_MS} ms at least ${FACTOR} x that of ${BASE}`,
      ok: known ? median(ours) >= FACTOR * median(base) && median(ours) > 0 : undefined,
      detail: known
        ? `${percent(ours)} of the node against ${percent(base)}: ${(saved * 100).toFixed(0)} % of the nodes saved at the same SLO`
        : 'no figures',
    },
  ];
};

export const packing: Scenario = {
  name: 'packing',
  title: "a service's load beside batch, raised in steps of 5 % of the node until its p99 leaves 20 ms",
  machine: ONE_VIRTUAL_CPU,
  policies: ['alone', 'eevdf', 'eevdf-requests', 'edf', 'scx-slo'],
  peers: false,
  cases: STEPS.map((share) => ({
    name: stepName(share),
    pods: [servicePod({ name: SERVICE, share, request: 0.2, budgetMs: SLO_MS }), ...batchPods()],
  })),
  stopAboveP99Ms: SLO_MS,
  primary: SERVICE,
  saturated: true,
  ...SHORT,
  warmUpSeconds: 1.5,
  windowSeconds: 5,
  chart: {
    label: `highest load whose p99 stays within ${SLO_MS} ms, in % of the node`,
    rows: [
      {
        name: 'load sustained',
        values: (figures, policy) => sustainedLoads(figures, policy).map((share) => 100 * share),
      },
    ],
  },
  judge,
};
