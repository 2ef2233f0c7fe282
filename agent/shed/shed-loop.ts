/** From what the node does to published levels: gathers the samples, steps the controller, publishes. */
import type { NodeModeName } from '../node-mode.ts';
import type { LiveSlot } from '../plan/live-slot.ts';
import type { OwnReport } from './feed.ts';
import { FRESH_MS, step } from './level.ts';
import type { LevelBoard } from './level-board.ts';
import { OwnReports } from './own-reports.ts';
import { type NodeFacts, nodeFacts, type PodFacts } from './pod-facts.ts';
import { PressureFeed, type ReadTotals } from './pressure-feed.ts';
import type { PodSample } from './severity.ts';
import { NO_SHED, type NodeSample, type ShedState } from './shed-state.ts';

export interface ShedTick {
  mode: NodeModeName;
  live: Iterable<LiveSlot>;
  /** SlotKeeper.revision: while it and `importance` stand still, `live` are the same slots of the same pods. */
  revision: number;
  /** Of every target with an SLO. */
  importance: ReadonlyMap<string, number>;
  nodeBusy: number;
  cpus: number;
  /** Age of the slots' counters; 0: `live` is of this tick. */
  kernelAgeMs: number;
  /** Of the monotonic clock. */
  nowMs: number;
}

export interface ShedLoopOptions {
  board: LevelBoard;
  readTotals: ReadTotals;
  /** Computes and shows; nobody is told to refuse. */
  dryRun: boolean;
}

/** Like the scheduler's floor: what work without an SLO may use however full the node is. */
const FLOOR_SHARE = 0.1;
/** Pods whose pressure is read in a tick: some 70 us each. */
const PRESSURE_READS = { beside: 16, instead: 64 };

export class ShedLoop {
  readonly board: LevelBoard;
  readonly #dryRun: boolean;
  readonly #pressure: PressureFeed;
  readonly #reports = new OwnReports();
  #known = new Map<string, PodFacts>();
  /** What `#known` was gathered from. */
  #knownOf: Pick<ShedTick, 'mode' | 'revision' | 'importance'> | undefined;
  #entitledCpus = 0;
  #state: ShedState = NO_SHED;
  #steppedAtMs: number | undefined;

  constructor({ board, readTotals, dryRun }: ShedLoopOptions) {
    this.board = board;
    this.#dryRun = dryRun;
    this.#pressure = new PressureFeed(readTotals);
  }

  report(report: OwnReport): void {
    this.#reports.take(report);
  }

  tick(tick: ShedTick): void {
    const { nowMs } = tick;
    const dtMs = nowMs - (this.#steppedAtMs ?? nowMs);
    this.#steppedAtMs = nowMs;
    this.#look(tick);
    const node: NodeSample = { cpus: tick.cpus, busy: tick.nodeBusy, entitledCpus: this.#entitledCpus };
    const input = {
      pods: this.#samples(tick, dtMs),
      node,
      kernelAgeMs: tick.kernelAgeMs,
      pressureAgeMs: this.#pressure.ageMs(nowMs),
      dryRun: this.#dryRun,
    };
    this.#state = step(this.#state, input, dtMs);
    this.board.publish(this.#state.pods, tick.importance, { node, dryRun: this.#dryRun });
  }

  /** Old counters say nothing new: what was known of the pods stays. */
  #look(tick: ShedTick): void {
    const { mode, importance } = tick;
    if (mode === 'observe' || mode === 'unsupported') {
      this.#known = new Map();
      this.#knownOf = undefined;
      return;
    }
    // Of this very tick: a session that just ended leaves no slots.
    if (tick.kernelAgeMs === 0) {
      const facts = nodeFacts(tick, isOfSame(this.#knownOf, tick) ? this.#known : undefined);
      this.#known = facts.pods;
      this.#entitledCpus = entitledCpus(facts, tick);
    }
    if (importance !== this.#knownOf?.importance)
      for (const key of this.#known.keys()) if (!importance.has(key)) this.#known.delete(key);
    this.#knownOf = { mode, revision: tick.revision, importance };
    this.#reports.keep((key) => this.#known.has(key));
    this.#readPressure(tick);
  }

  /** A pod at rest waits for nothing; its files are read where there is nothing else to go by. */
  #readPressure({ kernelAgeMs, nowMs }: ShedTick): void {
    const isFresh = kernelAgeMs <= FRESH_MS;
    const paths: string[] = [];
    for (const { path, isAtRest } of this.#known.values())
      if (path !== undefined && !(isAtRest && isFresh)) paths.push(path);
    this.#pressure.turn(paths, isFresh ? PRESSURE_READS.beside : PRESSURE_READS.instead, nowMs);
  }

  #samples(tick: ShedTick, dtMs: number): PodSample[] {
    const samples: PodSample[] = [];
    for (const facts of this.#known.values()) samples.push(this.#sampleOf(facts, tick, dtMs));
    return samples;
  }

  #sampleOf(facts: PodFacts, { kernelAgeMs, nowMs }: ShedTick, dtMs: number): PodSample {
    const { sample, path, isAtRest } = facts;
    const isFresh = kernelAgeMs <= FRESH_MS;
    const report = this.#reports.latest(sample.key, nowMs);
    // The very same object each time, so that the controller sees that nothing changed.
    if (isAtRest && isFresh && report === undefined) return sample;
    const { share, usedCpus, throttled } = this.#pressure.get(path);
    return {
      ...sample,
      usedCpus: isFresh ? sample.usedCpus : usedCpus,
      pressure: share,
      throttled: Math.max(throttled, sample.throttled),
      queueWaitMs: report?.queueWaitMs,
      queueIsNews: report !== undefined && nowMs - report.receivedAtMs <= dtMs,
    };
  }
}

const isOfSame = (known: Pick<ShedTick, 'mode' | 'revision' | 'importance'> | undefined, tick: ShedTick) =>
  known?.mode === tick.mode && known.revision === tick.revision && known.importance === tick.importance;

/** Within requests, and no less than the floor where it is used; the system's own work counts to the floor. */
const entitledCpus = (facts: NodeFacts, { nodeBusy, cpus }: ShedTick): number => {
  const systemCpus = Math.max(0, nodeBusy * cpus - facts.countedCpus);
  const floorCpus = Math.min(facts.othersCpus + systemCpus, FLOOR_SHARE * cpus);
  return Math.max(facts.othersWithinRequestCpus, floorCpus);
};
