/**
 * cpu.weight and cpu.max of the cgroups that have a slot, kept fresh by reading a few each turn: kernfs tells
 * nobody of a write, and kubelet sets them only after it made the directory.
 */
import { type CgroupLimits, DEFAULT_LIMITS } from './cgroup-files.ts';

interface Entry {
  limits: CgroupLimits;
  path: string;
  /** Reads so far: new cgroups are read again soon. */
  reads: number;
  nextReadMs: number;
  /** The last call of track that wanted it. */
  round: number;
}

/** After these pauses, then always the last: kubelet writes the limits within milliseconds of the mkdir. */
const PAUSES_MS = [100, 1_000, 15_000];

const sameLimits = (a: CgroupLimits, b: CgroupLimits): boolean =>
  a.weight === b.weight && a.quotaCpus === b.quotaCpus;

export class LimitsCache {
  readonly #entries = new Map<bigint, Entry>();
  readonly #read: (path: string) => CgroupLimits;
  #round = 0;

  /** @param read the limits of the cgroup at a path from the hierarchy's root. */
  constructor(read: (path: string) => CgroupLimits) {
    this.#read = read;
  }

  get(id: bigint): CgroupLimits {
    return this.#entries.get(id)?.limits ?? DEFAULT_LIMITS;
  }

  /** Says which cgroups count from now on; new ones are read within the next turns. */
  track(wanted: Iterable<{ cgroupId: bigint; path: string }>, nowMs: number): void {
    this.#round += 1;
    for (const { cgroupId, path } of wanted) {
      const entry = this.#entries.get(cgroupId);
      if (entry !== undefined) entry.round = this.#round;
      else {
        const limits = DEFAULT_LIMITS;
        this.#entries.set(cgroupId, { limits, path, reads: 0, nextReadMs: nowMs, round: this.#round });
      }
    }
    for (const [id, entry] of this.#entries) if (entry.round !== this.#round) this.#entries.delete(id);
  }

  /** Reads at most `count` that are due. @returns true where any value changed. */
  refresh(count: number, nowMs: number): boolean {
    let changed = false;
    let left = count;
    for (const entry of this.#entries.values()) {
      if (left === 0) break;
      if (entry.nextReadMs > nowMs) continue;
      left -= 1;
      const limits = this.#read(entry.path);
      changed ||= !sameLimits(limits, entry.limits);
      entry.limits = limits;
      entry.nextReadMs = nowMs + (PAUSES_MS[Math.min(entry.reads, PAUSES_MS.length - 1)] ?? 0);
      entry.reads += 1;
    }
    return changed;
  }
}
