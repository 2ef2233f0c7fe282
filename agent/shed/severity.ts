/** What the shed controller looks at, and how bad it is. Pure. */

/** One slot of a pod: the pod's own, or that of a container with its own budget. Over the last moments. */
export interface SlotSample {
  budgetMs: number;
  p95WaitMs: number;
  waits: number;
  /** Sum of the waits. */
  waitMs: number;
  /**
   * Mean sum of the waits of a burst, over a second with few bursts; else 0. They are few and long where a worker finds
   * its next request before it can sleep: each single wait is short then, and the queue is in front of the worker.
   */
  burstWaitMs: number;
  bursts: number;
  /** Of any reason but throttling. */
  misses: number;
  throttleMisses: number;
}

export interface PodSample {
  key: string;
  importance: number;
  /** The pod allows shedding, and its mode and the node's are not observe. */
  sheddable: boolean;
  slots: readonly SlotSample[];
  /** CPUs used since the last step. */
  usedCpus: number;
  /** What it may use however full the node is. */
  requestCpus: number;
  /** The tightest cpu.max; undefined: none. */
  quotaCpus: number | undefined;
  /** Share of time in which some task waited for CPU (PSI `some`), 0 .. 1; undefined: not read. */
  pressure: number | undefined;
  /** Throttled / all periods of cpu.max, 0 .. 1. */
  throttled: number;
  /** From its own fresh report; undefined: none. */
  queueWaitMs: number | undefined;
  /** It came since the last step. */
  queueIsNews: boolean;
  /** Its namespace is one whose reports may shed others a little. */
  trustsReports: boolean;
}

/** Each: 1 is the limit of what the budget allows. 0 .. 100. */
export interface Severity {
  /** Run delay and misses on the node's CPUs. */
  node: number;
  /** Misses because of the pod's own cpu.max. */
  quota: number;
  /** Its own queue. */
  queue: number;
}

export const NO_SEVERITY: Severity = { node: 0, quota: 0, queue: 0 };

/** Whatever came in: a number that can be added up. */
export const finite = (value: number): number => (Number.isFinite(value) && value > 0 ? value : 0);

/**
 * Half of the budget at p95 is trouble. A fifth, which suits a node without a deadline scheduler, is a tick for a
 * budget of 20 ms: a wait that is normal beside batch.
 */
export const WAIT_SHARE = 0.5;
/** Two misses in a hundred bursts; the root, because all of a hundred are not fifty times as far from home. */
const MISS_RATIO = 0.02;
/** Fewer samples say little, and the last severity fades; unless they fill a fifth of the second, as those of one busy worker do. */
export const MIN_WAITS = 20;
const MIN_WAIT_MS = 200;
const MIN_MISSES = 3;
const FADE_HALF_LIFE_MS = 1_000;
const MAX_SEVERITY = 100;
/**
 * Without run delays: at nine tenths of the time with someone waiting the node has no room left (at 80 % load it
 * is about a third); it never says how far beyond, so four at the most.
 */
const FULL_PRESSURE = 0.9;
const MAX_BY_PRESSURE = 4;

/** Whatever came in: a severity. */
const bounded = (value: number): number =>
  Number.isNaN(value) ? 0 : Math.min(MAX_SEVERITY, Math.max(0, value));

const byMisses = (misses: number, bursts: number): number => {
  // A single miss among few bursts is a high ratio but no evidence.
  if (bursts < MIN_WAITS && misses < MIN_MISSES) return 0;
  return Math.sqrt(misses / Math.max(bursts, misses, 1) / MISS_RATIO);
};

const hasEvidence = ({ waits, waitMs }: SlotSample): boolean => waits >= MIN_WAITS || waitMs >= MIN_WAIT_MS;

const bySlot = (slot: SlotSample): number | undefined => {
  const enoughWaits = hasEvidence(slot);
  if ((!enoughWaits && !(slot.misses > 0)) || !(slot.budgetMs > 0)) return undefined;
  const waitMs = Math.max(slot.p95WaitMs, slot.burstWaitMs);
  const byWait = enoughWaits ? waitMs / (WAIT_SHARE * slot.budgetMs) : 0;
  return Math.max(bounded(byWait), bounded(byMisses(slot.misses, slot.bursts)));
};

export const byPressure = (pressure: number): number => {
  const share = Math.min(1, Math.max(0, pressure));
  if (share <= FULL_PRESSURE) return share / FULL_PRESSURE;
  return 1 + ((share - FULL_PRESSURE) / (1 - FULL_PRESSURE)) * (MAX_BY_PRESSURE - 1);
};

/** The tightest; 0 where there is none. */
export const budgetOf = ({ slots }: PodSample): number => {
  const budgets = slots.map(({ budgetMs }) => budgetMs).filter((budgetMs) => budgetMs > 0);
  return budgets.length > 0 ? Math.min(...budgets) : 0;
};

const byQueue = (sample: PodSample): number => {
  const budgetMs = budgetOf(sample);
  return budgetMs > 0 ? bounded((sample.queueWaitMs ?? 0) / (WAIT_SHARE * budgetMs)) : 0;
};

const faded = (before: number, dtMs: number): number =>
  before * 0.5 ** (Math.max(0, dtMs) / FADE_HALF_LIFE_MS);

/** @param feed `pressure`: waits and misses are old, judge by PSI. */
export const severityOf = (
  sample: PodSample,
  feed: 'kernel' | 'pressure',
  before: Severity,
  dtMs: number,
): Severity => {
  const queue = byQueue(sample);
  if (feed === 'pressure') {
    const node =
      sample.pressure === undefined ? faded(before.node, dtMs) : bounded(byPressure(sample.pressure));
    return { node, quota: sample.throttled > 0 ? node : 0, queue };
  }
  const known = sample.slots.map(bySlot).filter((severity) => severity !== undefined);
  const node = known.length > 0 ? Math.max(...known) : bounded(faded(before.node, dtMs));
  const quota = Math.max(
    0,
    ...sample.slots.map(({ throttleMisses, bursts }) => bounded(byMisses(throttleMisses, bursts))),
  );
  return { node, quota, queue };
};
