/** Scenario and choices of the person -> the boots to run. Pure. */
import type { Job } from './measured.ts';
import { ALONE_AGAIN, type Case, type Scenario, serviceRatePerSecond } from './scenario.ts';
import { ordinarySeed } from './seeds.ts';

export type Peers = Job['peers'];

export interface Choice {
  /** undefined: those of the scenario. */
  policies: readonly string[] | undefined;
  runs: number | undefined;
  peers: Peers;
  edfObjects: string | undefined;
}

/** The policies that this scenario runs here, in the order of its table. */
export const policiesOf = (scenario: Scenario, choice: Choice): string[] => {
  const own = scenario.policies.filter((name) => name !== 'edf' || choice.edfObjects !== undefined);
  const all = [...own, ...(scenario.peers ? Object.keys(choice.peers) : [])];
  return choice.policies === undefined ? all : all.filter((name) => choice.policies?.includes(name));
};

/** Turned by one place a run, so that no policy always runs first; `alone` once more at the end. */
export const orderOf = (policies: readonly string[], run: number): string[] => {
  const turn = policies.length === 0 ? 0 : run % policies.length;
  const turned = [...policies.slice(turn), ...policies.slice(0, turn)];
  return policies.includes('alone') ? [...turned, ALONE_AGAIN] : turned;
};

/** Two services never share a range of seeds. */
const SEEDS_PER_SERVICE = 10_000;

const seedsOfCase = (scenario: Scenario, one: Case, run: number): Record<string, number> => {
  const { cpus } = scenario.machine;
  const { warmUpSeconds, windowSeconds } = { ...scenario, ...one };
  const services = one.pods.flatMap((pod) => {
    const work = pod.containers.find((container) => container.work.kind === 'service')?.work;
    return work?.kind === 'service' ? [{ name: pod.name, work }] : [];
  });
  const seeds = services.map(({ name, work }, index): [string, number] => {
    const ratePerSecond = serviceRatePerSecond(work, cpus);
    const spec = { ratePerSecond, requestMs: work.requestMs, workers: cpus, warmUpSeconds, windowSeconds };
    return [name, ordinarySeed(spec, run, 1 + SEEDS_PER_SERVICE * index)];
  });
  return Object.fromEntries(seeds);
};

const seedsOf = (scenario: Scenario, run: number): Job['seeds'] =>
  Object.fromEntries(scenario.cases.map((one) => [one.name, seedsOfCase(scenario, one, run)]));

export const jobsOf = (scenario: Scenario, choice: Choice): Job[] => {
  const policies = policiesOf(scenario, choice);
  if (policies.length === 0) return [];
  return Array.from({ length: choice.runs ?? scenario.runs }, (_, run) => ({
    scenario: scenario.name,
    run,
    order: orderOf(policies, run),
    seeds: seedsOf(scenario, run),
    peers: Object.fromEntries(Object.entries(choice.peers).filter(([name]) => policies.includes(name))),
    ...(choice.edfObjects === undefined ? {} : { edfObjects: choice.edfObjects }),
  }));
};

/** Seconds on the guest's own clock, to plan by: windows, warm-ups, and what starting a policy takes. */
export const guestSeconds = (scenario: Scenario, job: Job): number => {
  const START_SECONDS = 4;
  const POD_SECONDS = 0.1;
  const seconds = scenario.cases.map(
    (one) =>
      POD_SECONDS * one.pods.length +
      scenario.warmUpSeconds +
      (one.windowSeconds ?? scenario.windowSeconds) +
      START_SECONDS,
  );
  return job.order.length * seconds.reduce((sum, value) => sum + value, 0);
};
