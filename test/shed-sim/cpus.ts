/** The simulated node's CPUs: quanta, waits, misses and pressure, counted as bpf/account.bpf.h and PSI count them. */
import { DeadlineQueue, FairQueue, type Policy, type ReadyQueue, type Thread } from './thread.ts';

const QUANTUM_MS = 1;
const BURST_CUT_MS = 100;
/** Under the deadline scheduler work without a budget gets this share of the CPUs where it wants it. */
export const FLOOR_SHARE = 0.1;

interface Cpu {
  thread: Thread | undefined;
  sinceMs: number;
  untilMs: number;
}

export class Cpus {
  readonly count: number;
  readonly #cpus: Cpu[];
  readonly #ready: ReadyQueue;
  /** Work without a budget, where the policy is `edf`. */
  readonly #batch = new FairQueue();
  readonly #isEdf: boolean;
  #floorOwedMs = 0;
  #floorAtMs = 0;
  busyMs = 0;

  constructor(count: number, policy: Policy) {
    this.count = count;
    this.#cpus = Array.from({ length: count }, () => ({
      thread: undefined,
      sinceMs: 0,
      untilMs: Number.POSITIVE_INFINITY,
    }));
    this.#isEdf = policy === 'edf';
    this.#ready = this.#isEdf ? new DeadlineQueue() : new FairQueue();
  }

  /** When a CPU ends its quantum. */
  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const cpu of this.#cpus) if (cpu.untilMs < next) next = cpu.untilMs;
    return next;
  }

  /** A thread that slept has work. */
  wake(thread: Thread, nowMs: number): void {
    thread.burstWaitMs = 0;
    thread.burstRanMs = 0;
    thread.missed = false;
    thread.deadlineMs = nowMs + thread.pod.budgetMs;
    this.#enqueue(thread, nowMs);
    this.#fillIdle(nowMs);
  }

  /** Ends the quanta that are over. */
  advance(nowMs: number): void {
    for (const cpu of this.#cpus) {
      if (cpu.untilMs > nowMs || cpu.thread === undefined) continue;
      this.#endQuantum(cpu, cpu.thread, nowMs);
    }
    this.#fillIdle(nowMs);
  }

  /** CPU time until now of what runs, for counters that are read in between. */
  settle(nowMs: number): void {
    for (const cpu of this.#cpus) {
      if (cpu.thread === undefined) continue;
      this.#charge(cpu, cpu.thread, nowMs);
      cpu.sinceMs = nowMs;
    }
  }

  #charge(cpu: Cpu, thread: Thread, nowMs: number): void {
    const ranMs = nowMs - cpu.sinceMs;
    thread.leftMs -= ranMs;
    thread.burstRanMs += ranMs;
    thread.pod.meter.ranMs += ranMs;
    this.busyMs += ranMs;
  }

  #endQuantum(cpu: Cpu, thread: Thread, nowMs: number): void {
    this.#charge(cpu, thread, nowMs);
    cpu.thread = undefined;
    cpu.untilMs = Number.POSITIVE_INFINITY;
    if (thread.leftMs <= 1e-9) thread.leftMs = thread.onDone(nowMs);
    if (thread.leftMs <= 0) {
      thread.pod.meter.bursts += 1;
      return;
    }
    if (thread.burstRanMs >= Math.max(thread.pod.budgetMs, BURST_CUT_MS)) {
      thread.pod.meter.bursts += 1;
      thread.burstRanMs = 0;
      thread.burstWaitMs = 0;
      thread.missed = false;
      thread.deadlineMs += thread.pod.budgetMs;
    }
    this.#enqueue(thread, nowMs);
  }

  #enqueue(thread: Thread, nowMs: number): void {
    thread.waitingSinceMs = nowMs;
    thread.pod.meter.waits(1, nowMs);
    if (this.#isEdf && !Number.isFinite(thread.pod.budgetMs)) this.#batch.push(thread);
    else this.#ready.push(thread);
  }

  #fillIdle(nowMs: number): void {
    for (const cpu of this.#cpus) {
      if (cpu.thread !== undefined) continue;
      const thread = this.#next(nowMs);
      if (thread === undefined) return;
      this.#run(cpu, thread, nowMs);
    }
  }

  #next(nowMs: number): Thread | undefined {
    if (!this.#isEdf || this.#batch.size === 0) {
      this.#floorAtMs = nowMs;
      return this.#ready.pop();
    }
    const owed = this.#floorOwedMs + (nowMs - this.#floorAtMs) * FLOOR_SHARE * this.count;
    this.#floorOwedMs = Math.min(owed, QUANTUM_MS);
    this.#floorAtMs = nowMs;
    if (this.#floorOwedMs < QUANTUM_MS && this.#ready.size > 0) return this.#ready.pop();
    this.#floorOwedMs = Math.max(-QUANTUM_MS, this.#floorOwedMs - QUANTUM_MS);
    return this.#batch.pop();
  }

  #run(cpu: Cpu, thread: Thread, nowMs: number): void {
    const waitMs = nowMs - thread.waitingSinceMs;
    const { meter, budgetMs } = thread.pod;
    meter.waits(-1, nowMs);
    meter.addWait(waitMs);
    thread.burstWaitMs += waitMs;
    if (!thread.missed && thread.burstWaitMs > budgetMs) {
      thread.missed = true;
      meter.misses += 1;
    }
    cpu.thread = thread;
    cpu.sinceMs = nowMs;
    cpu.untilMs = nowMs + Math.min(QUANTUM_MS, thread.leftMs);
  }
}
