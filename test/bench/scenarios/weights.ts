import { type Figures, podCpus, type Target, type WindowFigures } from '../figures.ts';
import type { ContainerSpec, PodSpec, Scenario } from '../scenario.ts';
import { read, staysLoaded, within } from '../targets.ts';
import { ONE_VIRTUAL_CPU, SHORT, TWO_WALL_CPUS, WALL } from './pods.ts';

const hogs = (name: string, request: number, threadsPerCpu: number): ContainerSpec => ({
  name,
  request,
  work: { kind: 'hog', threadsPerCpu },
});

const heavy: PodSpec = { name: 'heavy', containers: [hogs('spin', 0.3, 2)] };
const light: PodSpec = { name: 'light', containers: [hogs('spin', 0.1, 8)] };
const nested: PodSpec = { name: 'nested', containers: [hogs('two', 0.2, 2), hogs('one', 0.1, 8)] };

const TOLERANCE = 0.05;

const podShare = (figures: Figures, caseName: string, pod: PodSpec, pods: readonly PodSpec[]): Target => {
  const request = (one: PodSpec): number => one.containers.reduce((sum, { request = 0 }) => sum + request, 0);
  const all = pods.reduce((sum, one) => sum + request(one), 0);
  return within(
    figures,
    caseName,
    `${caseName}: share of ${pod.name}`,
    (window) => podCpus(window, pod.name) / pods.reduce((sum, { name }) => sum + podCpus(window, name), 0),
    request(pod) / all,
    TOLERANCE,
  );
};

const cpusOf = (window: WindowFigures, container: string): number =>
  window.containers[container] ?? Number.NaN;

const containerRatio = (figures: Figures, caseName: string): Target =>
  within(
    figures,
    caseName,
    `${caseName}: container two / one`,
    (window) => cpusOf(window, 'nested/two') / cpusOf(window, 'nested/one'),
    2,
    TOLERANCE,
  );

const judge = (figures: Figures): Target[] => [
  staysLoaded(figures, 'pods'),
  ...[heavy, light].map((pod) => podShare(figures, 'pods', pod, [heavy, light])),
  ...[heavy, light, nested].map((pod) => podShare(figures, 'containers', pod, [heavy, light, nested])),
  containerRatio(figures, 'containers'),
];

export const weights: Scenario = {
  name: 'weights',
  title:
    'pods with requests 3 : 1, the second with four times the threads; then a third pod whose containers request 2 : 1',
  machine: ONE_VIRTUAL_CPU,
  policies: ['eevdf-requests', 'edf', 'scx-slo'],
  peers: false,
  cases: [
    { name: 'pods', pods: [heavy, light] },
    { name: 'containers', pods: [heavy, light, nested] },
  ],
  saturated: true,
  ...SHORT,
  windowSeconds: 10,
  chart: {
    label: 'CPU of one by CPU of the other',
    rows: [
      {
        name: 'heavy / light, 3 : 1 requested',
        values: (figures, policy) =>
          read(figures, 'pods', (window) => podCpus(window, 'heavy') / podCpus(window, 'light'), policy),
      },
      {
        name: 'containers, 2 : 1 requested',
        values: (figures, policy) =>
          read(
            figures,
            'containers',
            (window) => cpusOf(window, 'nested/two') / cpusOf(window, 'nested/one'),
            policy,
          ),
      },
    ],
  },
  judge,
};

/** The same on two CPUs, where shares have to be kept across them; shares do not hang on the clock. */
export const weightsWall: Scenario = { ...weights, name: 'weights-2cpu', machine: TWO_WALL_CPUS, ...WALL };
