/** What the shed controller looks at, and how bad it is. Pure. */

/** One slot of a pod: the pod's own, or that of a container with its own budget. */
export interface SlotSample {
  budgetMs: number;
  /** Over the last second. */
  p95WaitMs: number;
  waits: number;
  /** Sum of the waits. */
  waitMs: number;
  bursts: number;
  misses: number;
}

export interface PodSample {
  key: string;
  importance: number;
  /** The pod allows shedding, and its mode and the node's are not observe. */
  sheddable: boolean;
  slots: SlotSample[];
}

export interface ShedInput {
  pods: PodSample[];
  /** Busy share of the node's CPUs since the last step, 0 .. 1. */
  nodeBusy: number;
  /** Age of the numbers; 0 when they are of this tick. */
  ageMs: number;
}

export type ShedStateName = 'ok' | 'shedding' | 'degraded' | 'stale';

export interface PodLevel {
  /** -ln(admitted share). */
  a: number;
  /** 0 .. 0.95 */
  level: number;
  severity: number;
  troubleMs: number;
  calmMs: number;
  state: ShedStateName;
  /** For people. */
  reason: string;
}

export type ShedState = ReadonlyMap<string, PodLevel>;

/**
 * Half of the budget at p95 is trouble. A fifth, which suits a node without a deadline scheduler, is a tick for a
 * budget of 20 ms: a wait that is normal beside batch.
 */
const WAIT_SHARE = 0.5;
/** Two misses in a hundred bursts. */
const MISS_RATIO = 0.02;
/** Fewer samples say little, and the last severity fades; unless they fill a fifth of the second, as those of one busy worker do. */
const MIN_WAITS = 20;
const MIN_WAIT_MS = 200;
const FADE_HALF_LIFE_MS = 1_000;
const MAX_SEVERITY = 100;

const hasEvidence = ({ waits, waitMs }: SlotSample): boolean => waits >= MIN_WAITS || waitMs >= MIN_WAIT_MS;

/** Does the pod do enough for its waits to mean something? */
export const isAtWork = ({ slots }: PodSample): boolean => slots.some(hasEvidence);

const slotSeverity = (slot: SlotSample): number | undefined => {
  const enoughWaits = hasEvidence(slot);
  if (!enoughWaits && slot.misses === 0) return undefined;
  if (!(slot.budgetMs > 0)) return undefined;
  const byWait = enoughWaits ? slot.p95WaitMs / (WAIT_SHARE * slot.budgetMs) : 0;
  const byMisses = slot.misses / Math.max(slot.bursts, slot.misses, 1) / MISS_RATIO;
  // A single miss among few bursts is a high ratio but no evidence.
  const enoughBursts = slot.bursts >= MIN_WAITS || slot.misses >= 3;
  return Math.max(byWait, enoughBursts ? byMisses : 0);
};

/** @returns 1: at the limit of what the budget allows; the worst slot counts. 0 .. 100. */
export const severityOf = (sample: PodSample, before: number, dtMs: number): number => {
  const known = sample.slots.map(slotSeverity).filter((severity) => severity !== undefined);
  const severity =
    known.length > 0 ? Math.max(...known) : before * 0.5 ** (Math.max(0, dtMs) / FADE_HALF_LIFE_MS);
  return Number.isFinite(severity) ? Math.min(MAX_SEVERITY, Math.max(0, severity)) : 0;
};
