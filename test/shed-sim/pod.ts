/** A simulated service: requests come in, its client library refuses some, threads serve the others. */
import { Cursor } from '../../client/cursor.ts';
import type { Cpus } from './cpus.ts';
import { PodMeter } from './meter.ts';
import type { Thread } from './thread.ts';

export interface PodSpec {
  name: string;
  importance: number;
  /** Infinity: no budget (batch). */
  budgetMs: number;
  /** Mean CPU time of a request; its coefficient of variation. */
  serviceMs: number;
  cv: number;
  sheddable: boolean;
  requestCpus: number;
  /** Threads of a pool; 0: one for each request. */
  threads: number;
  /** CPU time of a refusal. */
  refusalMs: number;
  /** Sends reports of its queue wait. */
  reports: boolean;
  trustsReports: boolean;
}

/** Requests of one pod that arrived in the measured window. */
export interface Tally {
  offered: number;
  refused: number;
  good: number;
  goodCpuMs: number;
  latenciesMs: number[];
  /** The same for requests of the highest fifth of priorities. */
  vipOffered: number;
  vipRefused: number;
}

const newTally = (): Tally => ({
  offered: 0,
  refused: 0,
  good: 0,
  goodCpuMs: 0,
  latenciesMs: [],
  vipOffered: 0,
  vipRefused: 0,
});

export interface Wish {
  /** 0 .. 1, 1: most important. */
  priority: number;
  /** 0 .. 1, among equals. */
  dice: number;
}

interface Request {
  atMs: number;
  serviceMs: number;
  counted: boolean;
}

const VIP = 0.8;

export class SimPod {
  readonly spec: PodSpec;
  readonly budgetMs: number;
  readonly meter = new PodMeter();
  readonly tally = newTally();
  /** What the client library knows now. */
  level = 0;
  /** Waits from accepting to serving since the last report. */
  queueWaitsMs: number[] = [];
  readonly #cursor = new Cursor();
  readonly #cpus: Cpus;
  readonly #idle: Thread[] = [];
  #queue: Request[] = [];
  #head = 0;
  #threads = 0;

  constructor(spec: PodSpec, cpus: Cpus) {
    this.spec = spec;
    this.budgetMs = spec.budgetMs;
    this.#cpus = cpus;
  }

  /** @returns was it let in? */
  arrive(nowMs: number, serviceMs: number, { priority, dice }: Wish, counted: boolean): boolean {
    const { tally } = this;
    const refused = this.#cursor.rank({ priority }, dice, nowMs) < this.level;
    if (counted) {
      tally.offered += 1;
      tally.refused += Number(refused);
      tally.vipOffered += Number(priority >= VIP);
      tally.vipRefused += Number(priority >= VIP && refused);
    }
    if (refused) this.#startThread(nowMs, this.spec.refusalMs, () => 0);
    else this.#accept({ atMs: nowMs, serviceMs, counted }, nowMs);
    return !refused;
  }

  /** A thread that is never done: batch. */
  startHog(nowMs: number): void {
    this.#startThread(nowMs, 1e12, () => 0);
  }

  #accept(request: Request, nowMs: number): void {
    const { threads } = this.spec;
    if (threads === 0) {
      this.#startThread(nowMs, request.serviceMs, (doneMs) => {
        this.#finish(request, doneMs);
        return 0;
      });
      return;
    }
    this.#queue.push(request);
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.leftMs = this.#takeRequest(idle, nowMs);
      this.#cpus.wake(idle, nowMs);
    } else if (this.#threads < threads) {
      this.#threads += 1;
      const worker = this.#thread(0, () => 0);
      worker.leftMs = this.#takeRequest(worker, nowMs);
      this.#cpus.wake(worker, nowMs);
    }
  }

  /** The worker's next request; @returns its CPU time; 0: none, the worker sleeps. */
  #takeRequest(worker: Thread, nowMs: number): number {
    const request = this.#queue[this.#head];
    if (request === undefined) {
      this.#idle.push(worker);
      return 0;
    }
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.queueWaitsMs.push(nowMs - request.atMs);
    worker.onDone = (doneMs) => {
      this.#finish(request, doneMs);
      return this.#takeRequest(worker, doneMs);
    };
    return request.serviceMs;
  }

  #finish(request: Request, doneMs: number): void {
    if (!request.counted) return;
    const latencyMs = doneMs - request.atMs;
    this.tally.latenciesMs.push(latencyMs);
    if (latencyMs > this.budgetMs) return;
    this.tally.good += 1;
    this.tally.goodCpuMs += request.serviceMs;
  }

  #thread(leftMs: number, onDone: Thread['onDone']): Thread {
    return {
      pod: this,
      leftMs,
      deadlineMs: 0,
      waitingSinceMs: 0,
      burstWaitMs: 0,
      burstRanMs: 0,
      missed: false,
      onDone,
    };
  }

  #startThread(nowMs: number, leftMs: number, onDone: Thread['onDone']): void {
    this.#cpus.wake(this.#thread(leftMs, onDone), nowMs);
  }
}
