import type { PodSpec, Scenario } from '../scenario.ts';
import { gapAtMost, longestWaitMs, read, staysLoaded } from '../targets.ts';
import { batchPod, ONE_VIRTUAL_CPU, SHORT, servicePod } from './pods.ts';

/** Together they want more than the node: batch is left with its floor. */
const services: PodSpec[] = ['api', 'web'].map((name) =>
  servicePod({ name, share: 0.6, request: 0.2, budgetMs: 20, importance: 80 }),
);

const BATCH = 'batch';
const [FEW, MANY] = ['20 batch tasks a CPU', '600 batch tasks a CPU'];
/** The kernel ejects a scheduler that leaves a task waiting for 30 s. */
const PAST_THE_WATCHDOG_SECONDS = 40;

export const batchWait: Scenario = {
  name: 'batch-wait',
  title: 'services that want more than the node, beside 20 and beside 600 batch tasks a CPU',
  machine: ONE_VIRTUAL_CPU,
  policies: ['eevdf-requests', 'edf', 'scx-slo'],
  peers: false,
  cases: [
    { name: FEW, pods: [...services, batchPod(BATCH, 20)] },
    { name: MANY, pods: [...services, batchPod(BATCH, 600)], windowSeconds: PAST_THE_WATCHDOG_SECONDS },
  ],
  primary: 'api',
  saturated: true,
  ...SHORT,
  chart: {
    label: 'longest wait of a batch task, in s',
    rows: [FEW, MANY].map((name) => ({
      name,
      values: (figures, policy) =>
        read(figures, name, (window) => longestWaitMs(window, BATCH) / 1000, policy),
    })),
  },
  judge: (figures) => [gapAtMost(figures, FEW, [BATCH], 1000), staysLoaded(figures, MANY)],
};
