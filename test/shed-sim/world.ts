/** A closed loop in simulated time: arrivals -> clients -> threads -> CPUs -> counters -> controller -> clients. */
import { uniformFrom } from '../bench/arrivals.ts';
import { type Freeze, SimController } from './controller.ts';
import { Cpus, FLOOR_SHARE } from './cpus.ts';
import { type PodSpec, SimPod } from './pod.ts';
import type { Policy } from './thread.ts';
import { Timers } from './timers.ts';

export interface LoadedPod extends PodSpec {
  /** Offered CPU demand at a load of 1, as a share of the node. */
  share: number;
}

export interface World {
  seed: number;
  cpus: number;
  policy: Policy;
  pods: readonly LoadedPod[];
  hogs: readonly { spec: PodSpec; threads: number }[];
  /** Offered demand / capacity at a time. */
  load: (atMs: number) => number;
  warmUpMs: number;
  endMs: number;
  tickMs: number;
  pollMs: number;
  shedding: boolean;
  freezes: readonly Freeze[];
  /** Share of refusals that come again, once or twice. */
  retries: number;
}

export interface PodOutcome {
  name: string;
  importance: number;
  /** Of all requests that were offered: answered within the budget, and refused. */
  good: number;
  refused: number;
  p99Ms: number;
  vipRefused: number;
  offered: number;
  /** Published levels, one a tick. */
  levels: { atMs: number; level: number }[];
}

export interface Outcome {
  pods: PodOutcome[];
  /** CPU time of good requests / capacity. */
  goodput: number;
  refused: number;
  reasons: Map<string, string>;
}

const REPORT_MS = 500;

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;

const ratio = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);

class Run {
  readonly #world: World;
  readonly #timers = new Timers();
  readonly #cpus: Cpus;
  readonly #pods: { pod: SimPod; share: number }[];
  readonly #entitledCpus: number;
  readonly #controller: SimController;
  readonly #levels = new Map<SimPod, { atMs: number; level: number }[]>();

  constructor(world: World) {
    this.#world = world;
    this.#cpus = new Cpus(world.cpus, world.policy);
    this.#pods = world.pods.map((spec) => ({ pod: new SimPod(spec, this.#cpus), share: spec.share }));
    for (const { spec, threads } of world.hogs) {
      const hog = new SimPod(spec, this.#cpus);
      for (let thread = 0; thread < threads; thread += 1) hog.startHog(0);
    }
    const requested = world.hogs.reduce((sum, { spec }) => sum + spec.requestCpus, 0);
    const floorCpus = world.policy === 'edf' && world.hogs.length > 0 ? FLOOR_SHARE * world.cpus : 0;
    this.#entitledCpus = Math.max(requested, floorCpus);
    const pods = this.#pods.map(({ pod }) => pod);
    this.#controller = new SimController(pods, this.#cpus, world.tickMs, world.freezes);
  }

  finish(): Outcome {
    const { endMs, seed } = this.#world;
    for (const [index, { pod, share }] of this.#pods.entries()) {
      this.#schedule(pod, share, uniformFrom(seed * 1_000 + index));
      this.#levels.set(pod, []);
    }
    this.#tick(this.#world.tickMs);
    for (;;) {
      const cpuMs = this.#cpus.nextMs;
      const timerMs = this.#timers.nextMs;
      if (Math.min(cpuMs, timerMs) > endMs) break;
      if (cpuMs <= timerMs) this.#cpus.advance(cpuMs);
      else this.#timers.runNext();
    }
    return this.#outcome();
  }

  #schedule(pod: SimPod, share: number, uniform: () => number): void {
    const { serviceMs, cv } = pod.spec;
    const { cpus, load, warmUpMs, endMs, retries, pollMs } = this.#world;
    const sigma = Math.sqrt(Math.log(1 + cv * cv));
    const mu = Math.log(serviceMs) - (sigma * sigma) / 2;
    const service = (): number => {
      const normal = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
      return Math.exp(mu + sigma * normal);
    };
    const arrive = (atMs: number, triesLeft: number, counted: boolean): void => {
      const accepted = pod.arrive(atMs, service(), { priority: uniform(), dice: uniform() }, counted);
      if (accepted || triesLeft === 0 || retries === 0 || uniform() >= retries) return;
      const againMs = atMs + 100 + uniform() * 400;
      this.#timers.at(againMs, () => arrive(againMs, triesLeft - 1, false));
    };
    const next = (atMs: number): void => {
      const perMs = (share * load(atMs) * cpus) / serviceMs;
      const gapMs = perMs > 0 ? -Math.log(1 - uniform()) / perMs : 100;
      const nextMs = atMs + gapMs;
      this.#timers.at(nextMs, () => {
        if (perMs > 0) arrive(nextMs, 2, nextMs >= warmUpMs && nextMs < endMs - pod.budgetMs);
        next(nextMs);
      });
    };
    next(0);
    if (this.#world.shedding) this.#poll(pod, uniform() * pollMs, uniform);
    if (pod.spec.reports) this.#report(pod, uniform() * REPORT_MS);
  }

  /** Every `pollMs`, ten percent more or less. */
  #poll(pod: SimPod, atMs: number, uniform: () => number): void {
    this.#timers.at(atMs, () => {
      pod.level = this.#controller.levelOf(pod);
      this.#poll(pod, atMs + this.#world.pollMs * (0.9 + 0.2 * uniform()), uniform);
    });
  }

  #report(pod: SimPod, atMs: number): void {
    this.#timers.at(atMs, () => {
      const sorted = pod.queueWaitsMs.sort((a, b) => a - b);
      this.#controller.report(pod, quantile(sorted, 0.95), atMs);
      pod.queueWaitsMs = [];
      this.#report(pod, atMs + REPORT_MS);
    });
  }

  #tick(atMs: number): void {
    this.#timers.at(atMs, () => {
      this.#cpus.settle(atMs);
      this.#controller.tick(atMs, this.#entitledCpus);
      for (const [pod, levels] of this.#levels) levels.push({ atMs, level: this.#controller.levelOf(pod) });
      this.#tick(atMs + this.#world.tickMs);
    });
  }

  #outcome(): Outcome {
    const { cpus, warmUpMs, endMs } = this.#world;
    const tallies = this.#pods.map(({ pod }) => pod.tally);
    const sum = (of: (tally: SimPod['tally']) => number): number =>
      tallies.reduce((total, tally) => total + of(tally), 0);
    return {
      pods: this.#pods.map(({ pod }) => this.#podOutcome(pod)),
      goodput: sum((tally) => tally.goodCpuMs) / (cpus * (endMs - warmUpMs)),
      refused: ratio(
        sum((tally) => tally.refused),
        sum((tally) => tally.offered),
      ),
      reasons: new Map(this.#pods.map(({ pod }) => [pod.spec.name, this.#controller.reasonOf(pod)])),
    };
  }

  #podOutcome(pod: SimPod): PodOutcome {
    const { tally, spec } = pod;
    return {
      name: spec.name,
      importance: spec.importance,
      good: ratio(tally.good, tally.offered),
      refused: ratio(tally.refused, tally.offered),
      p99Ms: quantile(
        tally.latenciesMs.sort((a, b) => a - b),
        0.99,
      ),
      vipRefused: ratio(tally.vipRefused, tally.vipOffered),
      offered: tally.offered,
      levels: this.#levels.get(pod) ?? [],
    };
  }
}

export const simulate = (world: World): Outcome => new Run(world).finish();
