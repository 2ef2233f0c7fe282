/** How long a reflector waits for what. Milliseconds. */

export interface ReflectorTiming {
  backoffMinMs: number;
  backoffMaxMs: number;
  /** The server is asked to end a watch after this, with jitter, so that watches spread over its replicas. */
  watchMs: number;
  /** Bookmarks come about once a minute; without a byte for this long the connection is taken for dead. */
  inactivityMs: number;
  /** Between two lists while the watch is well: a watch may lose something in silence. */
  relistMs: number;
  /** A watch that lived this long was no failure. */
  steadyMs: number;
  /** One that ended before this, with nothing said, was one. */
  shortMs: number;
  /** Objects in one page of a list. */
  pageSize: number;
}

export const DEFAULT_TIMING: ReflectorTiming = {
  backoffMinMs: 500,
  backoffMaxMs: 30_000,
  watchMs: 450_000,
  inactivityMs: 150_000,
  relistMs: 600_000,
  steadyMs: 10_000,
  shortMs: 1_000,
  pageSize: 500,
};

const SPREAD = 0.25;

/** @returns between 75 % and 125 % of it. */
export const jittered = (ms: number, random: () => number): number =>
  ms * (1 - SPREAD + 2 * SPREAD * random());
