/** The worlds that are simulated: three services on one node, as the most, the middle and the least important. */
import type { PodSpec } from './pod.ts';
import type { LoadedPod, World } from './world.ts';

/** What has to hold in every seed, where it says something. Shares, 0 .. 1. */
export interface Bounds {
  top?: number;
  goodput?: number;
  refused?: number;
  swing?: number;
}

export interface Scenario {
  name: string;
  world: World;
  bounds: Bounds;
}

const COMMON = {
  cv: 1,
  sheddable: true,
  requestCpus: 0,
  threads: 0,
  refusalMs: 0.1,
  reports: false,
  trustsReports: false,
} as const;

export const THREE_CLASSES: readonly LoadedPod[] = [
  { ...COMMON, name: 'A', importance: 90, budgetMs: 50, serviceMs: 4, share: 0.4 },
  { ...COMMON, name: 'B', importance: 50, budgetMs: 100, serviceMs: 6, share: 0.3 },
  { ...COMMON, name: 'C', importance: 10, budgetMs: 200, serviceMs: 8, share: 0.3 },
];

/** 16 threads each, for as many requests at a time. */
const pooled = (reports: boolean): LoadedPod[] =>
  THREE_CLASSES.map((pod) => ({ ...pod, threads: 16, reports }));

const HOG: PodSpec = {
  ...COMMON,
  name: 'hog',
  importance: 1,
  budgetMs: Number.POSITIVE_INFINITY,
  serviceMs: 1,
  sheddable: false,
};
const HOGS = [{ spec: HOG, threads: 32 }];

const world = (load: number, more: Partial<World> = {}): World => ({
  seed: 1,
  cpus: 8,
  policy: 'edf',
  pods: THREE_CLASSES,
  hogs: [],
  load: () => load,
  warmUpMs: 5_000,
  endMs: 20_000,
  tickMs: 200,
  pollMs: 200,
  shedding: true,
  freezes: [],
  retries: 0,
  ...more,
});

const scenario = (name: string, at: World, bounds: Bounds): Scenario => ({ name, world: at, bounds });

/** From 0.7 to `load` at five seconds, measured from the step on. */
export const stepTo = (load: number, more: Partial<World> = {}): World =>
  world(load, { load: (atMs) => (atMs < 5_000 ? 0.7 : load), endMs: 15_000, ...more });

/** Without shedding: what the rest is compared with, and the proof that the tests can fail. */
export const UNSHED: readonly Scenario[] = [
  scenario('EDF, threads, 1.5 x, no shedding', world(1.5, { shedding: false }), {}),
  scenario('EDF, threads, 3 x, no shedding', world(3, { shedding: false }), {}),
  scenario('fair, threads, 1.5 x, no shedding', world(1.5, { policy: 'fair', shedding: false }), {}),
  scenario('EDF, pools, 3 x, no shedding', world(3, { pods: pooled(false), shedding: false }), {}),
  scenario(
    'fair, threads, 0.7 x and a hog, no shedding',
    world(0.7, { policy: 'fair', hogs: HOGS, shedding: false }),
    {},
  ),
];

const fair = (load: number, more: Partial<World> = {}): World => world(load, { policy: 'fair', ...more });
const pools = (load: number, more: Partial<World> = {}): World =>
  world(load, { pods: pooled(true), ...more });
/** A minute: in 15 s so few requests say little. */
const onTwo = (load: number): World => world(load, { cpus: 2, endMs: 65_000 });

/** The bounds that were asked for. */
export const SHED: readonly Scenario[] = [
  scenario('EDF, threads, 0.5 x', world(0.5), { top: 0.999, refused: 0 }),
  scenario('EDF, threads, 0.8 x', world(0.8), { top: 0.99, refused: 0.02 }),
  scenario('EDF, threads, 0.95 x', world(0.95), { top: 0.99, refused: 0.05 }),
  scenario('EDF, threads, 1.2 x', world(1.2), { top: 0.99, goodput: 0.85, swing: 0.2 }),
  scenario('EDF, threads, 1.5 x', world(1.5), { top: 0.99, goodput: 0.85, swing: 0.2 }),
  scenario('EDF, threads, 2 x', world(2), { top: 0.98, goodput: 0.85, swing: 0.2 }),
  scenario('EDF, threads, 3 x', world(3), { top: 0.6, goodput: 0.8, swing: 0.2 }),
  scenario('fair, threads, 0.8 x', fair(0.8), { top: 0.99, refused: 0.02 }),
  scenario('fair, threads, 0.95 x', fair(0.95), { top: 0.95, refused: 0.05 }),
  scenario('fair, threads, 1.5 x', fair(1.5), { top: 0.95, swing: 0.2 }),
  scenario('fair, threads, 2 x', fair(2), { top: 0.88, swing: 0.2 }),
  scenario('fair, threads, 3 x', fair(3), { top: 0.55, swing: 0.2 }),
  scenario('EDF, pools with reports, 0.8 x', pools(0.8), { refused: 0.02 }),
  scenario('EDF, pools with reports, 0.95 x', pools(0.95), { refused: 0.05 }),
  scenario('EDF, pools with reports, 1.5 x', pools(1.5), { top: 0.95, swing: 0.2 }),
  scenario('EDF, pools with reports, 3 x', pools(3), { top: 0.6, swing: 0.2 }),
  scenario('fair, pools with reports, 3 x', pools(3, { policy: 'fair' }), { top: 0.6, swing: 0.2 }),
  scenario('EDF, pools, no reports, 3 x', world(3, { pods: pooled(false) }), { top: 0.55, swing: 0.2 }),
  scenario('EDF, 2 CPUs, 0.8 x', onTwo(0.8), { refused: 0.02 }),
  scenario('EDF, 2 CPUs, 0.95 x', onTwo(0.95), { refused: 0.05 }),
  scenario('EDF, 2 CPUs, 1.5 x', onTwo(1.5), { goodput: 0.7 }),
  scenario('EDF, 2 CPUs, 2 x', onTwo(2), { goodput: 0.7 }),
  scenario('EDF, 2 CPUs, 3 x', onTwo(3), { goodput: 0.7 }),
  scenario('EDF, 32 CPUs, 1.5 x', world(1.5, { cpus: 32, endMs: 12_000 }), {
    top: 0.99,
    goodput: 0.9,
    swing: 0.2,
  }),
  scenario('EDF, threads, 1.5 x, refused ones retry', world(1.5, { retries: 0.5 }), {
    top: 0.97,
    goodput: 0.8,
    swing: 0.2,
  }),
  scenario(
    'EDF, threads, 1.5 x, heavy tails',
    world(1.5, { pods: THREE_CLASSES.map((pod) => ({ ...pod, cv: 3 })) }),
    {},
  ),
  scenario('EDF, threads, 0.7 x and a hog', world(0.7, { hogs: HOGS }), { top: 0.99, refused: 0.02 }),
  scenario('EDF, threads, 1.5 x and a hog', world(1.5, { hogs: HOGS }), { top: 0.95, goodput: 0.7 }),
  scenario('fair, threads, 0.7 x and a hog', fair(0.7, { hogs: HOGS }), {}),
  scenario('EDF, threads, 2 x, tick 100 ms', world(2, { tickMs: 100 }), {
    top: 0.98,
    goodput: 0.85,
    swing: 0.2,
  }),
];

/** Feeds that stop, at six seconds. */
export const FAULTS = {
  /** The BPF feed goes during the overload and stays away. */
  kernelGone: world(1.5, { freezes: [{ feed: 'kernel', fromMs: 6_000, toMs: 60_000 }] }),
  kernelGoneInPeace: world(0.8, { freezes: [{ feed: 'kernel', fromMs: 1_000, toMs: 60_000 }] }),
  /** Everything goes, and a second later the overload ends. */
  allGoneThenCalm: world(1.5, {
    load: (atMs) => (atMs < 7_000 ? 1.5 : 0.5),
    warmUpMs: 17_000,
    freezes: [{ feed: 'all', fromMs: 6_000, toMs: 60_000 }],
  }),
  /** Everything is gone for two seconds. */
  shortGap: world(1.5, { endMs: 12_000, freezes: [{ feed: 'all', fromMs: 6_000, toMs: 8_000 }] }),
} as const;

export const SEEDS = [1, 2, 3] as const;
