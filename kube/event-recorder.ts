/**
 * Tells people what happened to an object, as Events. The same once more is counted in the Event that is there; too
 * many are left out, of one object and of all. Never in anybody's way: what cannot be sent in time is dropped, and
 * counted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiFailure, isApiFailure } from './api-failure.ts';
import { Backoff } from './backoff.ts';
import type { ApiRequest, KubeConnection } from './connection.ts';
import {
  type EventNote,
  eventKey,
  eventName,
  eventNamespace,
  eventObject,
  microTime,
  type Reporter,
} from './event.ts';
import { SerialRunner } from './serial-runner.ts';
import { TokenBucket } from './token-bucket.ts';

export interface RecorderLimits {
  /** Of one object: so many at once, then one for each refill time. */
  objectBurst: number;
  objectRefillMs: number;
  /** Of all. */
  burst: number;
  refillMs: number;
  /** A repetition within this time belongs to the Event that is there. */
  seriesMs: number;
  /** Counts of repetitions are sent this often. */
  flushMs: number;
  /** Waiting to be sent. */
  queued: number;
  /** What could not be sent for this long is of no use any more. */
  expireMs: number;
  backoffMinMs: number;
  backoffMaxMs: number;
}

/** Those of one object are client-go's own; 5,000 nodes with these limits are 1,000 a second at the worst. */
export const DEFAULT_LIMITS: RecorderLimits = {
  objectBurst: 25,
  objectRefillMs: 300_000,
  burst: 50,
  refillMs: 5_000,
  seriesMs: 360_000,
  flushMs: 60_000,
  queued: 500,
  expireMs: 600_000,
  backoffMinMs: 1_000,
  backoffMaxMs: 60_000,
};

export interface RecorderOptions {
  connection: KubeConnection;
  reporter: Reporter;
  limits?: Partial<RecorderLimits>;
  /** Once for each change: why Events cannot be sent; undefined: they can again. */
  onFailure?: (failure: ApiFailure | undefined) => void;
  /** Wall clock, milliseconds since the epoch. */
  nowMs?: () => number;
}

export interface RecorderCounts {
  sent: number;
  /** By the limits. */
  suppressed: number;
  /** The server did not want them, or could not be reached in time. */
  dropped: number;
}

interface Series {
  path: string;
  count: number;
  lastAtMs: number;
  /** Of `count`, what the server knows. */
  sentCount: number;
}

interface Outgoing {
  request: ApiRequest;
  series: Series;
  count: number;
  queuedAtMs: number;
}

/** What another try does not change. */
const isFinal = ({ failed, status = 0 }: ApiFailure): boolean =>
  failed === 'http' && status >= 400 && status < 500 && status !== 401 && status !== 408 && status !== 429;

/** Not that the namespace, or the Event to be counted in, is gone meanwhile. */
const isOurFault = ({ status }: ApiFailure): boolean => status !== 404 && status !== 409;

export class EventRecorder {
  readonly #options: RecorderOptions;
  readonly #limits: RecorderLimits;
  readonly #nowMs: () => number;
  readonly #all: TokenBucket;
  readonly #ofObject = new Map<string, TokenBucket>();
  readonly #series = new Map<string, Series>();
  readonly #queue: Outgoing[] = [];
  readonly #ending = new AbortController();
  readonly #counts: RecorderCounts = { sent: 0, suppressed: 0, dropped: 0 };
  readonly #timer: NodeJS.Timeout;
  readonly #backoff: Backoff;
  readonly #runner = new SerialRunner(() => this.#sendAll());
  #names = 0;
  #toldFailure = '';

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#nowMs = options.nowMs ?? Date.now;
    const { burst, refillMs, backoffMinMs, backoffMaxMs, flushMs } = this.#limits;
    this.#all = new TokenBucket(burst, refillMs, this.#nowMs());
    this.#backoff = new Backoff({ minMs: backoffMinMs, maxMs: backoffMaxMs });
    this.#timer = setInterval(() => this.#flush(), flushMs).unref();
  }

  get counts(): Readonly<RecorderCounts> {
    return this.#counts;
  }

  record(note: EventNote): void {
    if (this.#ending.signal.aborted) return;
    const nowMs = this.#nowMs();
    const key = eventKey(note);
    const known = this.#series.get(key);
    if (known !== undefined && nowMs - known.lastAtMs < this.#limits.seriesMs) {
      known.count += 1;
      known.lastAtMs = nowMs;
      return;
    }
    if (!this.#ofObjectBucket(note.regarding.uid, nowMs).take(nowMs) || !this.#all.take(nowMs)) {
      this.#counts.suppressed += 1;
      return;
    }
    this.#names += 1;
    const name = eventName(note.regarding, nowMs, this.#names);
    const path = `/apis/events.k8s.io/v1/namespaces/${eventNamespace(note.regarding)}/events`;
    const series = { path: `${path}/${name}`, count: 1, lastAtMs: nowMs, sentCount: 0 };
    this.#series.set(key, series);
    const body = eventObject(note, name, this.#options.reporter, nowMs);
    this.#send({ request: { method: 'POST', path, body }, series, count: 1, queuedAtMs: nowMs });
  }

  /** What is queued is lost. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#ending.abort();
    await this.#runner.idle();
  }

  #ofObjectBucket(uid: string, nowMs: number): TokenBucket {
    const { objectBurst, objectRefillMs } = this.#limits;
    const bucket = this.#ofObject.get(uid) ?? new TokenBucket(objectBurst, objectRefillMs, nowMs);
    this.#ofObject.set(uid, bucket);
    return bucket;
  }

  /** Sends the counts that grew, and forgets what is too old to grow. */
  #flush(): void {
    const nowMs = this.#nowMs();
    for (const [key, series] of this.#series) {
      if (series.count > Math.max(1, series.sentCount)) {
        const { count, path, lastAtMs } = series;
        const body = { series: { count, lastObservedTime: microTime(lastAtMs) } };
        const contentType = 'application/merge-patch+json';
        series.sentCount = count;
        const request: ApiRequest = { method: 'PATCH', path, body, contentType };
        this.#send({ request, series, count, queuedAtMs: nowMs });
      }
      if (nowMs - series.lastAtMs >= this.#limits.seriesMs) this.#series.delete(key);
    }
    for (const [uid, bucket] of this.#ofObject) if (bucket.isFull(nowMs)) this.#ofObject.delete(uid);
  }

  #send(outgoing: Outgoing): void {
    if (this.#queue.length >= this.#limits.queued) {
      this.#counts.dropped += 1;
      return;
    }
    this.#queue.push(outgoing);
    this.#runner.request();
  }

  async #sendAll(): Promise<void> {
    const { signal } = this.#ending;
    for (let next = this.#queue[0]; next !== undefined && !signal.aborted; next = this.#queue[0]) {
      const answer = await this.#options.connection.json({ ...next.request, signal });
      if (signal.aborted) return;
      if (!isApiFailure(answer)) {
        this.#counts.sent += 1;
        this.#backoff.reset();
      } else if (isFinal(answer) || this.#nowMs() - next.queuedAtMs > this.#limits.expireMs) {
        this.#counts.dropped += 1;
      } else {
        this.#tellFailure(answer);
        const delayMs = this.#backoff.nextMs(answer.retryAfterMs);
        await sleep(delayMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      this.#tellFailure(isApiFailure(answer) && isOurFault(answer) ? answer : undefined);
      this.#queue.shift();
    }
  }

  #tellFailure(failure: ApiFailure | undefined): void {
    const text =
      failure === undefined ? '' : `${failure.failed} ${failure.status ?? ''} ${failure.reason ?? ''}`;
    if (text === this.#toldFailure) return;
    this.#toldFailure = text;
    this.#options.onFailure?.(failure);
  }
}
