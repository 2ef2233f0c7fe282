/**
 * Which requests go first when a share of them must go: those of the lowest priority, and among equals always the
 * same users. The rank of a request is the share of recent requests that rank below it (as in WeChat's DAGOR and
 * Uber's Cinnamon), so that the share that is shed stays the share that was asked for. No I/O.
 */
import { clamp } from './level.ts';

const LEVELS = 128;
const COHORTS = 128;
const BINS = LEVELS * COHORTS;
const WINDOW = 1_024;
/** Priority of a request that has none. */
const MIDDLE = 0.5;
const HOUR_MS = 3_600_000;
/** One key with a larger share of the traffic than this is thinned at random: all or nothing of it would miss the level. */
const MAX_KEY_SHARE = 1 / 16;

/** FNV-1a with a final mix; uniform in 0 .. 2^32 - 1. */
const hash = (text: string): number => {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

/** Counts of the last requests by bin, with sums over bins in logarithmic time (a Fenwick tree). */
class Histogram {
  readonly #sums = new Uint16Array(BINS + 1);

  add(bin: number, by: 1 | -1): void {
    for (let i = bin + 1; i <= BINS; i += i & -i) this.#sums[i] = (this.#sums[i] ?? 0) + by;
  }

  /** Requests in bins below `bin`. */
  below(bin: number): number {
    let sum = 0;
    for (let i = bin; i > 0; i -= i & -i) sum += this.#sums[i] ?? 0;
    return sum;
  }
}

export interface Wish {
  /** 0 .. 1, 1 is the most important; 0.5 where it is missing. */
  priority?: number | undefined;
  /** Whose request it is: a user, a session. The same key has the same outcome for an hour, as long as the level holds. */
  key?: string | undefined;
}

export class Cursor {
  readonly #ring = new Uint16Array(WINDOW);
  readonly #histogram = new Histogram();
  #count = 0;
  #next = 0;

  /**
   * Notes the request and ranks it among the last 1,024.
   * @param dice 0 .. 1. @returns 0 .. 1: it is to be shed when the level is above this.
   */
  rank({ priority, key }: Wish, dice: number, nowMs: number): number {
    const known = typeof priority === 'number' && Number.isFinite(priority) ? priority : MIDDLE;
    const level = Math.floor(clamp(known, 0, 1) * (LEVELS - 1));
    const hashed = key === undefined ? undefined : hash(`${Math.floor(nowMs / HOUR_MS)} ${key}`);
    const bin = level * COHORTS + (hashed === undefined ? Math.floor(dice * COHORTS) : hashed >>> 25);
    this.#note(bin);
    const below = this.#histogram.below(bin);
    const equal = this.#histogram.below(bin + 1) - below;
    return (below + this.#within(hashed, equal, dice) * equal) / this.#count;
  }

  /** Where in its bin, 0 .. 1. The cohort took the first bits of hash and dice, so this takes the others. */
  #within(hashed: number | undefined, equal: number, dice: number): number {
    if (hashed === undefined) return (dice * COHORTS) % 1;
    return equal > this.#count * MAX_KEY_SHARE ? dice : (hashed & 0x1ffffff) / 0x2000000;
  }

  #note(bin: number): void {
    if (this.#count === WINDOW) this.#histogram.add(this.#ring[this.#next] ?? 0, -1);
    else this.#count += 1;
    this.#ring[this.#next] = bin;
    this.#histogram.add(bin, 1);
    this.#next = (this.#next + 1) % WINDOW;
  }
}
