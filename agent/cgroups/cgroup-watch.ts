/** Keeps the tree of cgroups true: kernel events as they come, and walks that repair what events lost. */
import type { Logger } from 'pino';
import { type Failure, isFailure } from '../failure.ts';
import type { CgroupEvent } from '../kernel/port.ts';
import type { CgroupFeed, KernelSide } from '../kernel-side.ts';
import { type Cgroup, CgroupTree } from './cgroup-tree.ts';
import { walkCgroups } from './cgroup-walk.ts';

const REPAIR_MS = 30_000;
/** Without events, walking is all there is. */
const REPAIR_WITHOUT_EVENTS_MS = 2_000;
const CHECK_DROPS_MS = 1_000;

export interface CgroupWatchOptions {
  /** Where cgroup v2 is mounted. */
  mount: string;
  kernel: KernelSide;
  log: Logger;
  /** Paths outside the pods that matter. */
  isWanted: (path: string) => boolean;
  /** One cgroup that matters appeared, or the id of one that went. */
  onCgroup: (change: Cgroup | bigint) => void;
  /** A walk found that the tree was not true. */
  onRepair: () => void;
}

export class CgroupWatch {
  readonly tree = new CgroupTree();
  readonly #options: CgroupWatchOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #ending = new AbortController();
  #feed: CgroupFeed | undefined;
  #droppedSeen = 0;
  #walking: Promise<void> | undefined;
  /** Walks that were asked for, and the last of them that a walk has served. */
  #walksAsked = 0;
  #walksServed = 0;
  #walkFailure: Failure | undefined;

  constructor(options: CgroupWatchOptions) {
    this.#options = options;
  }

  /** Cgroup events that were lost so far. */
  get dropped(): number {
    return this.#feed?.dropped() ?? 0;
  }

  /** Resolves after the first walk. Events are listened to before it, so that nothing falls in between. */
  async start(): Promise<void> {
    const { kernel, log } = this.#options;
    const feed = kernel.openCgroupFeed(
      (event) => this.#onEvent(event),
      (problem) => log.warn({ failure: problem }, 'cgroup events have a problem'),
    );
    if (isFailure(feed)) {
      log.warn(
        { failure: feed },
        `no cgroup events: the tree is read every ${REPAIR_WITHOUT_EVENTS_MS / 1000} s instead`,
      );
    } else {
      this.#feed = feed;
      this.#timers.push(setInterval(() => this.#checkDrops(), CHECK_DROPS_MS));
    }
    await this.walk();
    if (this.#ending.signal.aborted) return;
    const everyMs = this.#feed === undefined ? REPAIR_WITHOUT_EVENTS_MS : REPAIR_MS;
    this.#timers.push(setInterval(() => this.#walkInBackground(), everyMs));
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    for (const timer of this.#timers) clearInterval(timer);
    this.#feed?.close();
    await this.#walking;
  }

  /** One walk at a time; a request during a walk makes it walk once more. */
  async walk(): Promise<void> {
    this.#walksAsked += 1;
    if (this.#walking !== undefined) {
      await this.#walking;
      return;
    }
    this.#walking = this.#walkUntilDone();
    await this.#walking;
    this.#walking = undefined;
  }

  async #walkUntilDone(): Promise<void> {
    while (this.#walksServed < this.#walksAsked && !this.#ending.signal.aborted) {
      this.#walksServed = this.#walksAsked;
      await this.#walkOnce();
    }
  }

  async #walkOnce(): Promise<void> {
    const finish = this.tree.beginWalk();
    const found = await walkCgroups(this.#options.mount);
    if (isFailure(found)) {
      if (this.#walkFailure === undefined) this.#options.log.error({ failure: found }, found.what);
      this.#walkFailure = found;
      return;
    }
    this.#walkFailure = undefined;
    const { added, removed } = finish(found, performance.now());
    if (added.length > 0 || removed.length > 0) this.#options.onRepair();
  }

  #walkInBackground(): void {
    this.walk().catch((error: unknown) =>
      this.#options.log.error({ err: error }, 'walking the cgroup tree failed'),
    );
  }

  #onEvent(event: CgroupEvent): void {
    if (event.change === 'removed') {
      if (this.tree.removed(event.id)) this.#options.onCgroup(event.id);
      return;
    }
    if (event.truncated) {
      this.#walkInBackground();
      return;
    }
    if (!this.tree.created(event.id, event.path, performance.now())) return;
    const cgroup = this.tree.byId(event.id);
    if (cgroup === undefined) return;
    const { kind } = cgroup.place;
    const matters = kind === 'pod' || kind === 'container' || kind === 'pods-root' || kind === 'qos';
    if (matters || this.#options.isWanted(event.path)) this.#options.onCgroup(cgroup);
  }

  #checkDrops(): void {
    const dropped = this.dropped;
    if (dropped === this.#droppedSeen) return;
    this.#droppedSeen = dropped;
    this.#walkInBackground();
  }
}
