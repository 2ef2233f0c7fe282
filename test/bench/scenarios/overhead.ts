import type { Figures, Target } from '../figures.ts';
import type { Chart, Machine, PodSpec, Scenario } from '../scenario.ts';
import { atMost, INSTRUCTIONS, instructionsOf, OURS, pairedCases, read, staysLoaded } from '../targets.ts';
import { batchPods, ONE_VIRTUAL_CPU, SHORT } from './pods.ts';

const WAKE_UPS_PER_SECOND = 10_000;
const INSTRUCTIONS_MAX = 1000;

interface WakerOptions {
  name: string;
  threads: number;
  /** Of the pod. */
  wakeUpsPerSecond: number;
  slo: boolean;
}

/** Threads that wake at fixed times and work for 5 us. */
const wakerPod = ({ name, threads, wakeUpsPerSecond, slo }: WakerOptions): PodSpec => {
  const periodUs = Math.round((threads * 1e6) / wakeUpsPerSecond);
  return {
    name,
    ...(slo ? { budgetMs: 20, importance: 50 } : {}),
    containers: [{ name: 'wake', request: 0.0005, work: { kind: 'wakers', threads, periodUs, burnUs: 5 } }],
  };
};

const tenPods = (slo: boolean): PodSpec[] =>
  Array.from({ length: 10 }, (_, index) =>
    wakerPod({ name: `waker-${index}`, threads: 10, wakeUpsPerSecond: WAKE_UPS_PER_SECOND / 10, slo }),
  );

const CASES = [
  { name: 'pods with an SLO', pods: tenPods(true) },
  { name: 'pods without an SLO', pods: tenPods(false) },
  { name: 'pods with an SLO beside batch', pods: [...tenPods(true), ...batchPods()] },
];

const instructionsChart = (cases: readonly string[]): Chart => ({
  label: "instructions of the scheduler's own programs, by wake-up",
  rows: cases.map((name) => ({
    name,
    values: (figures, policy) => read(figures, name, instructionsOf, policy),
  })),
});

export const overhead: Scenario = {
  name: 'overhead',
  title: `${WAKE_UPS_PER_SECOND} wake-ups a second on one CPU from ten pods: instructions of the scheduler's own programs`,
  machine: ONE_VIRTUAL_CPU,
  policies: ['edf', 'scx-slo'],
  peers: false,
  cases: CASES,
  saturated: false,
  countPrograms: true,
  ...SHORT,
  warmUpSeconds: 2,
  windowSeconds: 6,
  chart: instructionsChart(CASES.map(({ name }) => name)),
  judge: (figures) =>
    CASES.map(({ name }) =>
      atMost(
        `${name}: at most ${INSTRUCTIONS_MAX} instructions a wake-up`,
        read(figures, name, instructionsOf),
        INSTRUCTIONS_MAX,
        INSTRUCTIONS,
      ),
    ),
};

const manyPods = (pods: number, threads: number, wakeUpsPerSecond: number): PodSpec[] =>
  Array.from({ length: pods }, (_, index) =>
    wakerPod({
      name: `pod-${index}`,
      threads,
      wakeUpsPerSecond: wakeUpsPerSecond / pods,
      slo: true,
    }),
  );

const [TEN, THOUSAND] = ['10 pods', '1000 pods'];
const GROWTH_MAX = 1.1;

/** Instructions can be counted on one CPU only: growth with the number of pods, at the same rate of wake-ups. */
export const scaleCost: Scenario = {
  name: 'scale-cost',
  title: '1,000 wake-ups a second from 10 pods, and as many from 1,000 pods, on one CPU',
  machine: { ...ONE_VIRTUAL_CPU, memoryMb: 4096 },
  policies: ['scx-slo'],
  peers: false,
  cases: [
    { name: TEN, pods: manyPods(10, 4, 1000) },
    { name: THOUSAND, pods: manyPods(1000, 4, 1000) },
  ],
  saturated: false,
  countPrograms: true,
  ...SHORT,
  warmUpSeconds: 5,
  windowSeconds: 6,
  chart: instructionsChart([TEN, THOUSAND]),
  judge: (figures) => [
    atMost(
      `instructions a wake-up from 10 to 1,000 pods grow by at most ${Math.round((GROWTH_MAX - 1) * 100)} %`,
      pairedCases(figures, OURS, THOUSAND, TEN, instructionsOf),
      GROWTH_MAX,
      { scale: 1, digits: 2, text: ' x' },
    ),
  ],
};

const SIXTEEN_CPUS: Machine = {
  cpus: 16,
  topology: 'sockets=2,cores=8,threads=1',
  clock: 'wall',
  memoryMb: 6144,
};

const slotsRight = (figures: Figures): Target => {
  const slots = figures.windows.flatMap((window) => (window.policy === OURS ? (window.slots ?? []) : []));
  return {
    name: 'every pod has its slot',
    ok: slots.length === 0 ? undefined : slots.every(({ have, want }) => have === want),
    detail: slots.map(({ have, want }) => `${have} of ${want}`).join(', ') || 'no figures',
  };
};

/** 16 vCPUs share the host's cores: that everything runs is judged, not how fast. */
export const scale: Scenario = {
  name: 'scale',
  title: '1,000 pods with 20,000 threads on 16 CPUs in two LLCs',
  machine: SIXTEEN_CPUS,
  policies: ['eevdf-requests', 'scx-slo'],
  peers: false,
  cases: [{ name: THOUSAND, pods: manyPods(1000, 20, 2000) }],
  saturated: false,
  runs: 1,
  warmUpSeconds: 15,
  windowSeconds: 20,
  chart: {
    label: 'latest wake-up, in s',
    rows: [
      {
        name: THOUSAND,
        values: (figures, policy) =>
          read(
            figures,
            THOUSAND,
            ({ pods }) =>
              Math.max(...Object.values(pods).map(({ progress }) => progress?.maxGapMs ?? 0)) / 1000,
            policy,
          ),
      },
    ],
  },
  judge: (figures) => [staysLoaded(figures, THOUSAND), slotsRight(figures)],
};
