import { type Figures, pairedRatios, type Target, type WindowFigures } from '../figures.ts';
import type { Scenario } from '../scenario.ts';
import { p99Of, ratioAtLeast, ratioAtMost } from '../targets.ts';
import { ONE_VIRTUAL_CPU, SHORT, servicePod, TWO_WALL_CPUS, WALL } from './pods.ts';

const SERVICE = 'api';
const [CALM, PIPES, MESSAGES] = ['30 % busy', 'pipe ping-pong', 'messaging'];

const rateOf =
  (pod: string) =>
  (window: WindowFigures): number | undefined =>
    window.pods[pod]?.progress?.perSecond;

const judge = (figures: Figures): Target[] => [
  ratioAtMost(figures, CALM, 'p99', 'eevdf', p99Of(SERVICE), 1.05),
  ratioAtLeast(figures, PIPES, 'ping-pong', 'eevdf', rateOf('pipes'), 0.95),
  ratioAtLeast(figures, MESSAGES, 'messaging', 'eevdf', rateOf('messages'), 0.95),
];

export const lightLoad: Scenario = {
  name: 'light-load',
  title:
    'a service that keeps the node 30 % busy, without batch; then a pipe ping-pong; then a messaging benchmark',
  machine: ONE_VIRTUAL_CPU,
  policies: ['eevdf', 'edf', 'scx-slo'],
  peers: true,
  cases: [
    { name: CALM, pods: [servicePod({ name: SERVICE, share: 0.3, request: 0.2, budgetMs: 20 })] },
    {
      name: PIPES,
      pods: [
        {
          name: 'pipes',
          containers: [{ name: 'pairs', request: 0.1, work: { kind: 'pingpong', pairs: 1 } }],
        },
      ],
    },
    {
      name: MESSAGES,
      pods: [
        {
          name: 'messages',
          containers: [{ name: 'groups', request: 0.1, work: { kind: 'messaging', groups: 2, members: 10 } }],
        },
      ],
    },
  ],
  primary: SERVICE,
  saturated: false,
  ...SHORT,
  warmUpSeconds: 1,
  windowSeconds: 7,
  chart: {
    label: 'by the figure of eevdf in the same run',
    rows: [
      { name: 'p99 of the service', caseName: CALM, read: p99Of(SERVICE) },
      { name: 'round trips of the ping-pong', caseName: PIPES, read: rateOf('pipes') },
      { name: 'messages', caseName: MESSAGES, read: rateOf('messages') },
    ].map(({ name, caseName, read }) => ({
      name,
      values: (figures, policy) => pairedRatios(figures, policy, 'eevdf', caseName, read),
    })),
    mark: { value: 1, label: 'eevdf' },
  },
  judge,
};

/** On two CPUs, where finding an idle one matters. Its ratios are printed, not judged. */
export const lightLoadWall: Scenario = {
  ...lightLoad,
  name: 'light-load-2cpu',
  machine: TWO_WALL_CPUS,
  ...WALL,
  windowSeconds: 5,
  policies: ['eevdf', 'scx-slo'],
  peers: false,
  judge: () => [],
};
