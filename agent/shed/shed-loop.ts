/** From what the node does to published levels: gathers the samples, steps the controller, publishes. */
import type { NodeModeName } from '../node-mode.ts';
import type { LiveSlot } from '../plan/live-slot.ts';
import type { OwnReport } from './feed.ts';
import { FRESH_MS, step } from './level.ts';
import { type LevelBoard, uidOf } from './level-board.ts';
import { OwnReports } from './own-reports.ts';
import { type NodeFacts, nodeFacts, type PodFacts } from './pod-facts.ts';
import { PressureFeed, type ReadTotals } from './pressure-feed.ts';
import type { PodSample } from './severity.ts';
import { NO_SHED, type NodeSample, type ShedState } from './shed-state.ts';

export interface ShedTick {
  mode: NodeModeName;
  live: Iterable<LiveSlot>;
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
    const { mode, live, importance, nowMs } = tick;
    if (mode === 'observe' || mode === 'unsupported') {
      this.#known = new Map();
      return;
    }
    // Of this very tick: a session that just ended leaves no slots.
    if (tick.kernelAgeMs === 0) {
      const facts = nodeFacts(mode, live, importance, nowMs);
      this.#known = facts.pods;
      this.#entitledCpus = entitledCpus(facts, tick);
    }
    for (const key of this.#known.keys()) if (!importance.has(key)) this.#known.delete(key);
    this.#reports.keep(new Set([...this.#known.keys()].map(uidOf)));
    const paths = [...this.#known.values()].map(({ path }) => path).filter((path) => path !== undefined);
    const most = tick.kernelAgeMs <= FRESH_MS ? PRESSURE_READS.beside : PRESSURE_READS.instead;
    this.#pressure.turn(paths, most, nowMs);
  }

  #samples({ kernelAgeMs, nowMs }: ShedTick, dtMs: number): PodSample[] {
    return [...this.#known.values()].map(({ sample, path }) => {
      const { share, usedCpus, throttled } = this.#pressure.get(path);
      const report = this.#reports.latest(uidOf(sample.key), nowMs);
      return {
        ...sample,
        usedCpus: kernelAgeMs <= FRESH_MS ? sample.usedCpus : usedCpus,
        pressure: share,
        throttled: Math.max(throttled, sample.throttledByUs),
        queueWaitMs: report?.queueWaitMs,
        queueIsNews: report !== undefined && nowMs - report.receivedAtMs <= dtMs,
      };
    });
  }
}

/** Within requests, and no less than the floor where it is used; the system's own work counts to the floor. */
const entitledCpus = (facts: NodeFacts, { nodeBusy, cpus }: ShedTick): number => {
  const systemCpus = Math.max(0, nodeBusy * cpus - facts.countedCpus);
  const floorCpus = Math.min(facts.othersCpus + systemCpus, FLOOR_SHARE * cpus);
  return Math.max(facts.othersWithinRequestCpus, floorCpus);
};
