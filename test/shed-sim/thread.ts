/** A thread of a simulated pod, and the order in which threads get a CPU. */
import type { SimPod } from './pod.ts';

export interface Thread {
  pod: SimPod;
  /** Own CPU time that its present work still needs. */
  leftMs: number;
  deadlineMs: number;
  waitingSinceMs: number;
  /** Of its burst, as bpf/account.bpf.h counts. */
  burstWaitMs: number;
  burstRanMs: number;
  missed: boolean;
  /** When its work is done; @returns more work, in ms; 0: it sleeps. */
  onDone: (nowMs: number) => number;
}

export type Policy = 'edf' | 'fair';

export interface ReadyQueue {
  readonly size: number;
  push(thread: Thread): void;
  pop(): Thread | undefined;
}

/** Everybody in turn, a quantum each. */
export class FairQueue implements ReadyQueue {
  #threads: Thread[] = [];
  #head = 0;

  get size(): number {
    return this.#threads.length - this.#head;
  }

  push(thread: Thread): void {
    this.#threads.push(thread);
  }

  pop(): Thread | undefined {
    const thread = this.#threads[this.#head];
    if (thread === undefined) return undefined;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#threads.length) {
      this.#threads = this.#threads.slice(this.#head);
      this.#head = 0;
    }
    return thread;
  }
}

/** Earliest deadline first, however long ago it was: the worst case for overload. */
export class DeadlineQueue implements ReadyQueue {
  readonly #heap: Thread[] = [];

  get size(): number {
    return this.#heap.length;
  }

  push(thread: Thread): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(thread);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Thread;
      if (above.deadlineMs <= thread.deadlineMs) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = thread;
  }

  pop(): Thread | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && right.deadlineMs < (heap[child] as Thread).deadlineMs) child += 1;
      if ((heap[child] as Thread).deadlineMs >= last.deadlineMs) break;
      heap[index] = heap[child] as Thread;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}
