/**
 * The cgroups that exist, by id, by path and by pod. Two feeds keep it true: events of the kernel (immediate, may
 * be lost) and walks of the file system (slow, complete). No I/O here.
 */
import { type CgroupPlace, parseCgroupPath } from './cgroup-path.ts';

export interface Cgroup {
  /** Inode number of the cgroup v2 directory. */
  readonly id: bigint;
  /** From the hierarchy's root, starting with `/`. */
  readonly path: string;
  readonly place: CgroupPlace;
  /** Monotonic milliseconds when we came to know of it. */
  readonly seenMs: number;
}

/** What a walk found: path -> id. */
export type FoundCgroups = ReadonlyMap<string, bigint>;

export interface TreeChange {
  added: Cgroup[];
  removed: Cgroup[];
}

interface PendingWalk {
  addedIds: Set<bigint>;
  removedIds: Set<bigint>;
}

const depthOf = (path: string): number => path.split('/').length;

const isTopLevel = (path: string): boolean => path.length > 1 && path.lastIndexOf('/') === 0;

/** Of two cgroups that claim to be the same, the one nearer to the hierarchy's root: kubelet's, not an imitation. */
const isNearer = (a: Cgroup, b: Cgroup): boolean => {
  const byDepth = depthOf(a.path) - depthOf(b.path);
  return byDepth === 0 ? a.path < b.path : byDepth < 0;
};

export class CgroupTree {
  readonly #byId = new Map<bigint, Cgroup>();
  readonly #byPath = new Map<string, Cgroup>();
  /** Pod uid -> its pod cgroups, nearest to the root first; more than one only where someone imitates kubelet. */
  readonly #pods = new Map<string, Cgroup[]>();
  /** Pod uid -> container id -> the container's own cgroup (depth 0). */
  readonly #containers = new Map<string, Map<string, Cgroup>>();
  readonly #roots = new Map<bigint, Cgroup>();
  readonly #qosSlices = new Map<bigint, Cgroup>();
  readonly #topLevel = new Map<bigint, Cgroup>();
  readonly #walks = new Set<PendingWalk>();

  get size(): number {
    return this.#byId.size;
  }

  byId(id: bigint): Cgroup | undefined {
    return this.#byId.get(id);
  }

  byPath(path: string): Cgroup | undefined {
    return this.#byPath.get(path);
  }

  /** @param podUid as in the cgroup's name (PodTarget.cgroupUid). */
  pod(podUid: string): Cgroup | undefined {
    return this.#pods.get(podUid)?.[0];
  }

  container(podUid: string, containerId: string): Cgroup | undefined {
    return this.#containers.get(podUid)?.get(containerId);
  }

  /** The containers' own cgroups of one pod. */
  containers(podUid: string): Iterable<Cgroup> {
    return this.#containers.get(podUid)?.values() ?? [];
  }

  /** The slices of the QoS classes; guaranteed pods have none. */
  qosSlices(): Iterable<Cgroup> {
    return this.#qosSlices.values();
  }

  /** The children of the hierarchy's root. */
  topLevel(): Iterable<Cgroup> {
    return this.#topLevel.values();
  }

  /** One cgroup for each pod uid. */
  *pods(): IterableIterator<Cgroup> {
    for (const claimants of this.#pods.values()) {
      const nearest = claimants[0];
      if (nearest !== undefined) yield nearest;
    }
  }

  /** The pods' roots, nearest to the hierarchy's root first. */
  roots(): Cgroup[] {
    return [...this.#roots.values()].sort((a, b) => (isNearer(a, b) ? -1 : 1));
  }

  /** @returns false where it was known already. */
  created(id: bigint, path: string, nowMs: number): boolean {
    const known = this.#byPath.get(path);
    if (known?.id === id) return false;
    if (known !== undefined) this.#remove(known);
    const stale = this.#byId.get(id);
    if (stale !== undefined) this.#remove(stale);
    this.#add({ id, path, place: parseCgroupPath(path), seenMs: nowMs });
    for (const walk of this.#walks) {
      walk.addedIds.add(id);
      walk.removedIds.delete(id);
    }
    return true;
  }

  removed(id: bigint): boolean {
    for (const walk of this.#walks) {
      walk.removedIds.add(id);
      walk.addedIds.delete(id);
    }
    const known = this.#byId.get(id);
    if (known === undefined) return false;
    this.#remove(known);
    return true;
  }

  /**
   * Starts a walk. Call the answer with what was found: the difference is applied, and events that came
   * meanwhile win, because the walk may have passed their directory before them.
   */
  beginWalk(): (found: FoundCgroups, nowMs: number) => TreeChange {
    const walk: PendingWalk = { addedIds: new Set(), removedIds: new Set() };
    this.#walks.add(walk);
    return (found, nowMs) => {
      this.#walks.delete(walk);
      return this.#applyWalk(walk, found, nowMs);
    };
  }

  #applyWalk(walk: PendingWalk, found: FoundCgroups, nowMs: number): TreeChange {
    const change: TreeChange = { added: [], removed: [] };
    for (const cgroup of [...this.#byId.values()]) {
      if (found.get(cgroup.path) === cgroup.id || walk.addedIds.has(cgroup.id)) continue;
      this.#remove(cgroup);
      change.removed.push(cgroup);
    }
    for (const [path, id] of found) {
      if (walk.removedIds.has(id) || this.#byPath.has(path) || this.#byId.has(id)) continue;
      const cgroup = { id, path, place: parseCgroupPath(path), seenMs: nowMs };
      this.#add(cgroup);
      change.added.push(cgroup);
    }
    return change;
  }

  #add(cgroup: Cgroup): void {
    this.#byId.set(cgroup.id, cgroup);
    this.#byPath.set(cgroup.path, cgroup);
    const { place } = cgroup;
    if (isTopLevel(cgroup.path)) this.#topLevel.set(cgroup.id, cgroup);
    if (place.kind === 'pods-root') this.#roots.set(cgroup.id, cgroup);
    if (place.kind === 'qos') this.#qosSlices.set(cgroup.id, cgroup);
    if (place.kind === 'pod') this.#addPod(place.podUid, cgroup);
    if (place.kind === 'container' && place.depth === 0) {
      const ofPod = this.#containers.get(place.podUid) ?? new Map<string, Cgroup>();
      const rival = ofPod.get(place.containerId);
      if (rival === undefined || isNearer(cgroup, rival)) ofPod.set(place.containerId, cgroup);
      this.#containers.set(place.podUid, ofPod);
    }
  }

  #addPod(podUid: string, cgroup: Cgroup): void {
    const claimants = this.#pods.get(podUid);
    if (claimants === undefined) {
      this.#pods.set(podUid, [cgroup]);
      return;
    }
    claimants.push(cgroup);
    claimants.sort((a, b) => (isNearer(a, b) ? -1 : 1));
  }

  #remove(cgroup: Cgroup): void {
    this.#byId.delete(cgroup.id);
    this.#byPath.delete(cgroup.path);
    this.#roots.delete(cgroup.id);
    this.#qosSlices.delete(cgroup.id);
    this.#topLevel.delete(cgroup.id);
    const { place } = cgroup;
    if (place.kind === 'pod') this.#removePod(place.podUid, cgroup);
    if (place.kind === 'container' && place.depth === 0) {
      const ofPod = this.#containers.get(place.podUid);
      if (ofPod?.get(place.containerId) === cgroup) ofPod.delete(place.containerId);
      if (ofPod?.size === 0) this.#containers.delete(place.podUid);
    }
  }

  #removePod(podUid: string, cgroup: Cgroup): void {
    const left = (this.#pods.get(podUid) ?? []).filter((claimant) => claimant !== cgroup);
    if (left.length === 0) this.#pods.delete(podUid);
    else this.#pods.set(podUid, left);
  }
}
