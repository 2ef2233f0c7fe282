/**
 * Follows cpu.weight, cpu.max and cpu.idle of every cgroup with a slot, and what the rest of the node weighs. The
 * kernel tells of some writes, depending on its release; reading the files in turns finds the others.
 */
import { readCgroupLimits, readIsPopulated } from '../cgroups/cgroup-files.ts';
import type { LimitsCache } from '../cgroups/cgroup-limits.ts';
import type { Cgroup, CgroupTree } from '../cgroups/cgroup-tree.ts';
import { systemWeight, type TopLevel } from '../cgroups/system-weight.ts';
import type { KernelSession } from '../kernel/port.ts';
import type { SlotKeeper } from './slot-keeper.ts';

export interface LimitWatchOptions {
  tree: CgroupTree;
  keeper: SlotKeeper;
  limits: LimitsCache;
  /** Where cgroup v2 is mounted. */
  mount: string;
  /** A limit changed. */
  onChange: () => void;
}

/** An in-place resize must be followed within 2 s, one turn and the plan included. */
const ENFORCE_PAUSE_MS = 1_600;
/** Nothing but what is shown depends on it, or the kernel tells of every write. */
const SLOW_PAUSE_MS = 15_000;
/** Cgroups in one turn: some 2 ms, and with five turns a second enough for 1,600 cgroups. */
const READS_PER_TURN = 200;

export class LimitWatch {
  readonly #options: LimitWatchOptions;
  #toldChanges = 0;
  #weighedAtMs = Number.NEGATIVE_INFINITY;
  #systemWeight = 0;
  #systemShare = 1;

  constructor(options: LimitWatchOptions) {
    this.#options = options;
  }

  /** Of the node's CPU time, what the kernel would give everything outside the pods while all compete; 0 .. 1. */
  get systemShare(): number {
    return this.#systemShare;
  }

  /** A new session counts from zero and knows nothing. */
  attach(): void {
    this.#toldChanges = 0;
    this.#weighedAtMs = Number.NEGATIVE_INFINITY;
    this.#systemWeight = 0;
  }

  /** @param toldChanges KernelHealth.limitChanges of the session. */
  turn(
    { kind, tellsLimits }: Pick<KernelSession, 'kind' | 'tellsLimits'>,
    toldChanges: number,
    nowMs: number,
  ): void {
    const { limits, onChange } = this.#options;
    const systemPauseMs = kind === 'scheduler' ? ENFORCE_PAUSE_MS : SLOW_PAUSE_MS;
    const pauseMs = tellsLimits ? SLOW_PAUSE_MS : systemPauseMs;
    const told = toldChanges !== this.#toldChanges && this.#readTold(nowMs);
    this.#toldChanges = toldChanges;
    const found = limits.refresh(READS_PER_TURN, pauseMs, nowMs);
    if (told || found) onChange();
    // Groups outside the pods have no slots, so nobody tells of them.
    if (nowMs - this.#weighedAtMs >= systemPauseMs) this.#weigh(nowMs);
  }

  #readTold(nowMs: number): boolean {
    const { keeper, limits } = this.#options;
    const { cgroupIds, system } = keeper.takeLimitChanges();
    if (system) this.#weighedAtMs = Number.NEGATIVE_INFINITY;
    return limits.readNow(cgroupIds, nowMs);
  }

  #weigh(nowMs: number): void {
    const { keeper } = this.#options;
    this.#weighedAtMs = nowMs;
    const weight = systemWeight(this.#systemGroups(), (path) => this.#topLevel(path));
    this.#systemShare = weight / (weight + this.#othersWeight());
    if (weight === this.#systemWeight) return;
    this.#systemWeight = weight;
    keeper.weighSystem(weight);
  }

  *#systemGroups(): Iterable<Cgroup> {
    for (const cgroup of this.#options.tree.topLevel()) if (this.#isSystem(cgroup)) yield cgroup;
  }

  #isSystem({ id, place }: Cgroup): boolean {
    return place.kind !== 'pods-root' && this.#options.keeper.get(id) === undefined;
  }

  /** Of the pods' root, and of what else has a slot beside it. */
  #othersWeight(): number {
    const { tree, limits } = this.#options;
    let sum = 0;
    for (const cgroup of tree.topLevel()) if (!this.#isSystem(cgroup)) sum += limits.get(cgroup.id).weight;
    return sum;
  }

  #topLevel(path: string): TopLevel {
    const directory = `${this.#options.mount}${path}`;
    const { weight, idle } = readCgroupLimits(directory);
    return { weight, idle, isPopulated: readIsPopulated(directory) };
  }
}
