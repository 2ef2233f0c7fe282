/** Runs the plan when something changed. */

import type { LimitsCache } from '../cgroups/cgroup-limits.ts';
import type { Cgroup, CgroupTree } from '../cgroups/cgroup-tree.ts';
import { Coalescer } from '../coalesce.ts';
import type { Mode } from '../kernel/port.ts';
import { bucketOf, HIST_BUCKETS } from '../observe/histogram.ts';
import type { ProblemLog } from '../problem-log.ts';
import type { TargetStore } from '../target-store.ts';
import { NO_CLAIMS, targetName } from './claims.ts';
import type { DesiredSlot } from './desired-slot.ts';
import { type Plan, type PlanInput, plan, planNewcomer } from './plan.ts';
import { followPods } from './pod-changes.ts';
import type { SlotKeeper } from './slot-keeper.ts';

export interface PlannerOptions {
  tree: CgroupTree;
  targets: TargetStore;
  keeper: SlotKeeper;
  limits: LimitsCache;
  problems: ProblemLog;
  /** Mode of the session that is open. */
  mode: () => Mode;
  /** CPUs that an owner of credit has reserved. */
  reservedCpus: (cgroupId: bigint) => number;
  onPlan: (plan: Plan) => void;
}

/** Between two full plans. Newcomers do not wait for one: a new pod may wait 50 ms for its slot, not more. */
const PLAN_GAP_MS = 50;
/** Between two batches of newcomers. */
const NEWCOMER_GAP_MS = 2;
/** They have their slots by then; the full plan only settles what a single cgroup cannot know. */
const AFTER_NEWCOMERS_MS = 250;
/** Cgroups in one batch: some milliseconds of work. */
const NEWCOMERS = 256;
/** Where more pods than these changed at once, a full plan is as quick. */
const FOLLOWED_PODS = 64;
const NOTHING_PLANNED: Plan = { slots: [], unresolved: [], conflicts: [], evicted: [], claims: NO_CLAIMS };

export class Planner {
  /** From learning of a pod's cgroup to its slot, in the kernel's buckets. */
  readonly resolveHist = new Float64Array(HIST_BUCKETS);
  resolveSumNs = 0;
  readonly #options: PlannerOptions;
  readonly #coalescer: Coalescer;
  readonly #newcomers: Coalescer;
  /** In the order of the events; a cgroup, or the id of one that went. */
  #changes: (Cgroup | bigint)[] = [];
  #latest = NOTHING_PLANNED;
  #plannedVersion = -1;

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#coalescer = new Coalescer(() => this.#run(), PLAN_GAP_MS);
    this.#newcomers = new Coalescer(() => this.#takeNewcomers(), NEWCOMER_GAP_MS);
  }

  get latest(): Plan {
    return this.#latest;
  }

  request(): void {
    this.#coalescer.request();
  }

  /** Pods came, went or changed: their slots follow at once, the rest with the next plan. */
  targetsChanged(): void {
    this.#newcomers.request();
  }

  /** A cgroup that appeared, or the id of one that went: gets or loses its slot at once, the rest follows. */
  changed(change: Cgroup | bigint): void {
    this.#changes.push(change);
    this.#newcomers.request();
  }

  stop(): void {
    this.#coalescer.stop();
    this.#newcomers.stop();
  }

  /** Says what has had no cgroup for a while; a pod that just starts has none for a moment. */
  tellUnresolved(): void {
    const { problems } = this.#options;
    problems.update(
      'unresolved',
      this.#latest.unresolved.map((target) => `${targetName(target)} has no cgroup`),
    );
  }

  #input(): PlanInput {
    const { tree, targets, keeper, limits, mode, reservedCpus } = this.#options;
    return {
      targets: targets.targets,
      tree,
      mode: mode(),
      capacity: keeper.capacity,
      limits: (id) => limits.get(id),
      reservedCpus,
    };
  }

  #takeNewcomers(): void {
    if (!this.#followTargets()) {
      this.#changes = [];
      this.#run();
      return;
    }
    const batch = this.#changes.slice(0, NEWCOMERS);
    this.#changes = this.#changes.slice(NEWCOMERS);
    const { keeper, tree, limits } = this.#options;
    const nowMs = performance.now();
    const input = this.#input();
    const { claims } = this.#latest;
    // A cgroup that is gone again by now is not in the tree, and its id comes later in the batches.
    const added = batch
      .filter((change) => typeof change !== 'bigint' && tree.byId(change.id) === change)
      .flatMap((change) => planNewcomer(input, claims, change as Cgroup) ?? []);
    const removed = batch.filter((change) => typeof change === 'bigint');
    const { assigned } = keeper.applyChanges(added, removed, nowMs);
    for (const { desired } of assigned) this.#countResolved(desired);
    limits.add(
      assigned.map(({ desired }) => desired),
      nowMs,
    );
    if (this.#changes.length > 0) this.#newcomers.request();
    this.#coalescer.request(AFTER_NEWCOMERS_MS);
  }

  /** @returns false where only a full plan can follow. */
  #followTargets(): boolean {
    const { keeper, targets, limits } = this.#options;
    if (this.#plannedVersion === targets.version) return true;
    if (this.#plannedVersion < 0) return false;
    const followed = followPods(this.#input(), this.#latest.claims, FOLLOWED_PODS);
    if (followed === undefined) return false;
    this.#latest = { ...this.#latest, claims: followed.claims };
    this.#plannedVersion = targets.version;
    const nowMs = performance.now();
    const { assigned } = keeper.applyPods(followed.slots, nowMs);
    for (const slot of assigned) this.#countResolved(slot.desired);
    limits.add(
      assigned.map((slot) => slot.desired),
      nowMs,
    );
    this.#coalescer.request(AFTER_NEWCOMERS_MS);
    return true;
  }

  #run(): void {
    const { keeper, limits, problems, targets } = this.#options;
    const nowMs = performance.now();
    this.#plannedVersion = targets.version;
    this.#latest = plan(this.#input());
    const { assigned, failures, retryAtMs } = keeper.apply(this.#latest.slots, nowMs);
    for (const { desired } of assigned) this.#countResolved(desired);
    limits.track(this.#latest.slots, nowMs);
    if (failures.length > 0) this.#coalescer.request(1_000);
    if (retryAtMs !== undefined) this.#coalescer.request(Math.max(1, retryAtMs - nowMs));
    problems.update(
      'slot',
      failures.map((failed) => `${failed.what}: ${failed.why}`),
    );
    problems.update(
      'conflict',
      this.#latest.conflicts.map(
        ({ what, claimants }) => `${what}: ${claimants.join(' and ')}; neither gets it`,
      ),
    );
    problems.update(
      'evicted',
      this.#latest.evicted.map(({ path }) => `${path} has no slot: all ${keeper.capacity} are taken`),
    );
    this.#options.onPlan(this.#latest);
  }

  #countResolved({ owner, cgroupId }: DesiredSlot): void {
    const { tree, keeper } = this.#options;
    const cgroup = tree.byId(cgroupId);
    // What was there before the session is no measure of anything.
    if (cgroup === undefined || owner.kind === 'path' || cgroup.seenMs < keeper.attachedAtMs) return;
    const tookNs = (performance.now() - cgroup.seenMs) * 1e6;
    const bucket = bucketOf(tookNs);
    this.resolveHist[bucket] = (this.resolveHist[bucket] ?? 0) + 1;
    this.resolveSumNs += tookNs;
  }
}
