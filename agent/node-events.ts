/**
 * What happens to this node's scheduler, for people: structured, deduplicated, rate-limited. A sink gets every event
 * that is not a repetition: the log, and a Kubernetes Event of the same shape (type, reason, message).
 */
import { TokenBucket } from '../kube/token-bucket.ts';

export const NODE_EVENT_REASONS = [
  /** The scheduler is in charge, for the first time or again after a fault. */
  'SchedExtEnabled',
  /** It came back after CPUs came or went. */
  'SchedExtRestarted',
  /** The kernel or a person ended it; it will be tried again. */
  'SchedExtEjected',
  /** It could not be loaded; it will be tried again. */
  'SchedExtNotLoaded',
  /** It is off until somebody does something. */
  'SchedExtStaysOff',
  /** The node cannot or shall not enforce: why it is in its mode. */
  'NodeMode',
] as const;
export type NodeEventReason = (typeof NODE_EVENT_REASONS)[number];

export interface NodeEvent {
  type: 'Normal' | 'Warning';
  reason: NodeEventReason;
  message: string;
  /** For machines; part of neither identity nor message. */
  facts?: Readonly<Record<string, string | number>>;
}

/** The port that the rest of the agent knows. */
export interface NodeEvents {
  emit(event: NodeEvent): void;
}

export interface KeptEvent extends NodeEvent {
  count: number;
  firstAt: string;
  lastAt: string;
}

const isSame = (a: NodeEvent, b: NodeEvent): boolean =>
  a.type === b.type && a.reason === b.reason && a.message === b.message;

export type NodeEventSink = (event: NodeEvent) => void;

const KEPT = 20;
/** The same event once more, with none between, is counted within this time, not told. */
const SAME_WITHIN_MS = 10 * 60_000;
/** As Kubernetes' own spam filter in shape: a burst, then a slow refill. */
const BURST = 20;
const REFILL_MS = 30_000;

export class NodeEventLog implements NodeEvents {
  readonly #sinks: readonly NodeEventSink[];
  readonly #nowMs: () => number;
  readonly #kept: (KeptEvent & { toldAtMs: number })[] = [];
  readonly #bucket: TokenBucket;
  #suppressed = 0;

  /** @param nowMs wall clock, milliseconds since the epoch. */
  constructor(sinks: readonly NodeEventSink[], nowMs: () => number = Date.now) {
    this.#sinks = sinks;
    this.#nowMs = nowMs;
    this.#bucket = new TokenBucket(BURST, REFILL_MS, nowMs());
  }

  emit(event: NodeEvent): void {
    const nowMs = this.#nowMs();
    const lastAt = new Date(nowMs).toISOString();
    const last = this.#kept.at(-1);
    const same = last !== undefined && isSame(last, event) && nowMs - last.toldAtMs < SAME_WITHIN_MS;
    if (same) {
      last.count += 1;
      last.lastAt = lastAt;
      return;
    }
    this.#kept.push({ ...event, count: 1, firstAt: lastAt, lastAt, toldAtMs: nowMs });
    if (this.#kept.length > KEPT) this.#kept.shift();
    if (!this.#bucket.take(nowMs)) {
      this.#suppressed += 1;
      return;
    }
    for (const sink of this.#sinks) sink(event);
  }

  /** The last ones, oldest first. */
  recent(): KeptEvent[] {
    return this.#kept.map(({ toldAtMs: _, ...event }) => event);
  }

  /** Events that no sink got because there were too many. */
  get suppressed(): number {
    return this.#suppressed;
  }
}
