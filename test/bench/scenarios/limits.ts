import { type Figures, podCpus, type Target } from '../figures.ts';
import type { PodSpec, Scenario } from '../scenario.ts';
import { batchAtLeast, missesAtMost, read, within } from '../targets.ts';
import { batchPod, ONE_VIRTUAL_CPU, SHORT, servicePod, TWO_WALL_CPUS, WALL } from './pods.ts';

/** Of the node; on one CPU it is half a CPU. */
const LIMIT = 0.5;
const TOLERANCE = 0.03;

const limited = (threadsPerCpu: number): PodSpec => ({
  name: 'limited',
  containers: [{ name: 'spin', request: 0.4, limit: LIMIT, work: { kind: 'hog', threadsPerCpu } }],
});
const api = servicePod({ name: 'api', share: 0.1, request: 0.1, budgetMs: 20 });
/** Wants more than its limit, so that the limit binds. */
const greedy = servicePod({
  name: 'greedy',
  share: 0.6,
  request: 0.3,
  limit: LIMIT,
  budgetMs: 20,
  importance: 60,
});

const CASES = [
  { name: 'one thread', pods: [limited(1), api, batchPod('batch-a')], pod: 'limited' },
  { name: 'eight threads', pods: [limited(8), api, batchPod('batch-a')], pod: 'limited' },
  { name: 'latency pod', pods: [greedy, api, batchPod('batch-a')], pod: 'greedy' },
] as const;

const judge = (figures: Figures): Target[] =>
  CASES.flatMap(({ name, pod }) => [
    within(
      figures,
      name,
      `${name}: usage by quota`,
      (window) => podCpus(window, pod) / (LIMIT * figures.cpus),
      1,
      TOLERANCE,
    ),
    { ...missesAtMost(figures, name, 'api', 0.005), name: `${name}: api misses at most 0.5 %` },
  ]);

export const limits: Scenario = {
  name: 'limits',
  title:
    'a limit of half the node for a pod with one thread, with eight threads, and for a service that wants 60 %',
  machine: ONE_VIRTUAL_CPU,
  policies: ['eevdf-requests', 'scx-slo'],
  peers: false,
  cases: CASES.map(({ name, pods }) => ({ name, pods })),
  primary: 'api',
  saturated: true,
  ...SHORT,
  windowSeconds: 5,
  chart: {
    label: 'CPU used by quota',
    rows: CASES.map(({ name, pod }) => ({
      name,
      values: (figures, policy) =>
        read(figures, name, (window) => podCpus(window, pod) / (LIMIT * figures.cpus), policy),
    })),
    mark: { value: 1, label: 'quota' },
  },
  judge: (figures) => [
    ...judge(figures),
    {
      ...batchAtLeast(figures, 'latency pod', 0.95),
      name: 'latency pod: batch gets at least 95 % of the CPU left',
    },
  ],
};

export const limitsWall: Scenario = {
  ...limits,
  name: 'limits-2cpu',
  machine: TWO_WALL_CPUS,
  ...WALL,
  windowSeconds: 5,
};
