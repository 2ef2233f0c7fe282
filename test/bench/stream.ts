/** One open-loop stream of requests and what became of them; latency counts from the intended start. */
import type { Arrival } from './arrivals.ts';

export interface StreamSpec {
  /** Which service this is, for the report. */
  name: string;
  host: string;
  /** Worker i listens on port + i. */
  port: number;
  workers: number;
  ratePerSecond: number;
  seed: number;
  /** Keep-alive connections to each worker, opened before the first request. */
  connections: number;
}

export interface StreamResult {
  name: string;
  /** Requests whose intended start lies in the window. */
  offered: number;
  /** 200s of these. */
  served: number;
  /** 429s of these. */
  shed: number;
  /** Broken connections and other statuses, which make the run invalid. */
  failed: number;
  /** 200s that came within the window, also to requests of the warm-up: what the window's CPU time was spent on. */
  servedInWindow: number;
  /** Of the offered, unanswered at the end of the window. */
  backlog: number;
  /** From the start of the window to the first 429. */
  firstShedMs?: number;
  /** Of the served and of those never answered; `lowerBounds` of them only had got this old. */
  latenciesMs: number[];
  /** Intended start of each of these, from the start of the window. */
  startsMs: number[];
  lowerBounds: number;
  /** Largest delay between intended and real start: the generator's own error. */
  maxLateMs: number;
  /** Requests that had to open a connection. */
  openedLate: number;
  /** The queue did not grow: see isSustained. */
  sustained: boolean;
}

/** Most backlog that is still "keeps up", as a share of the requests, and the oldest request in it. */
export const SUSTAINED = { backlogShare: 0.02, oldestMs: 1000 };

/** A service keeps up when at the end of the window nearly everything is answered and nothing is old. */
export const isSustained = (offered: number, backlog: number, oldestMs: number): boolean =>
  backlog <= Math.max(4, offered * SUSTAINED.backlogShare) && oldestMs <= SUSTAINED.oldestMs;

/** Collects one stream. Times are in ms from the start of the window, which is [0, windowMs). */
export class StreamRecorder {
  readonly #spec: StreamSpec;
  readonly #windowMs: number;
  readonly #latenciesMs: number[] = [];
  readonly #startsMs: number[] = [];
  readonly #outstanding = new Set<Arrival>();
  #offered = 0;
  #served = 0;
  #servedInWindow = 0;
  #shed = 0;
  #failed = 0;
  #firstShedMs: number | undefined;
  #maxLateMs = 0;
  #atEnd: { backlog: number; oldestMs: number } | undefined;

  constructor(spec: StreamSpec, windowMs: number) {
    this.#spec = spec;
    this.#windowMs = windowMs;
  }

  /** A request was sent at `nowMs`; arrivals before the window are warm-up and do not count. */
  sent(arrival: Arrival, nowMs: number): void {
    if (arrival.atMs < 0 || arrival.atMs >= this.#windowMs) return;
    this.#offered += 1;
    this.#maxLateMs = Math.max(this.#maxLateMs, nowMs - arrival.atMs);
    this.#outstanding.add(arrival);
  }

  answered(arrival: Arrival, status: number | undefined, nowMs: number): void {
    if (status === 200 && nowMs >= 0 && nowMs < this.#windowMs) this.#servedInWindow += 1;
    if (!this.#outstanding.delete(arrival)) return;
    if (status === 200) {
      this.#served += 1;
      this.#latenciesMs.push(nowMs - arrival.atMs);
      this.#startsMs.push(arrival.atMs);
    } else if (status === 429) {
      this.#shed += 1;
      this.#firstShedMs ??= nowMs;
    } else {
      this.#failed += 1;
    }
  }

  /** Call at the end of the window: takes the backlog. Answers may still come in. */
  windowEnded(): void {
    let oldestMs = 0;
    for (const { atMs } of this.#outstanding) oldestMs = Math.max(oldestMs, this.#windowMs - atMs);
    this.#atEnd = { backlog: this.#outstanding.size, oldestMs };
  }

  /** True when every request of the window has its answer. */
  get complete(): boolean {
    return this.#outstanding.size === 0;
  }

  /** Closes the books: what is still unanswered counts with its age, as a lower bound of its latency. */
  finish(nowMs: number, openedLate: number): StreamResult {
    const { backlog, oldestMs } = this.#atEnd ?? { backlog: 0, oldestMs: 0 };
    const unanswered = [...this.#outstanding];
    const ages = unanswered.map(({ atMs }) => nowMs - atMs);
    return {
      name: this.#spec.name,
      offered: this.#offered,
      served: this.#served,
      shed: this.#shed,
      failed: this.#failed,
      servedInWindow: this.#servedInWindow,
      backlog,
      ...(this.#firstShedMs === undefined ? {} : { firstShedMs: this.#firstShedMs }),
      latenciesMs: [...this.#latenciesMs, ...ages],
      startsMs: [...this.#startsMs, ...unanswered.map(({ atMs }) => atMs)],
      lowerBounds: ages.length,
      maxLateMs: this.#maxLateMs,
      openedLate,
      sustained: isSustained(this.#offered, backlog, oldestMs) && ages.length === 0,
    };
  }
}
