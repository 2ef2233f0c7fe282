/**
 * Wakes the sender at the times of a schedule. Node's own timers have whole milliseconds, which would add up
 * to 1 ms to every latency; a second thread that sleeps in Atomics.wait has microseconds.
 */
import { once } from 'node:events';
import { hrtime } from 'node:process';
import { Worker, workerData } from 'node:worker_threads';

/** CLOCK_MONOTONIC in ms, the same in every thread (performance.now() has an origin per thread). */
export const nowMs = (): number => {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
};

/** What the pacer's thread gets as workerData. */
export interface PacerData {
  role: 'pacer';
  /** Rising. */
  dueMs: Float64Array;
  /** [0]: nowMs() that the due times count from; set before the start. */
  originMs: Float64Array;
  /** [0]: how many are due so far. [1]: never changes, slept on. [2]: 1 once started. */
  progress: Int32Array;
}

export const isPacer = (data: unknown): data is PacerData =>
  typeof data === 'object' && data !== null && 'role' in data && data.role === 'pacer';

/** Body of the pacer's thread. */
export const runPacer = ({ dueMs, originMs, progress }: PacerData): void => {
  Atomics.wait(progress, 2, 0);
  const [origin = 0] = originMs;
  for (const [index, due] of dueMs.entries()) {
    const dueAtMs = origin + due;
    for (let left = dueAtMs - nowMs(); left > 0; left = dueAtMs - nowMs()) Atomics.wait(progress, 1, 0, left);
    Atomics.store(progress, 0, index + 1);
    Atomics.notify(progress, 0);
  }
};

export interface Pacer {
  /** Starts the clock at `originMs`; resolves after the last entry. */
  run(originMs: number, onDue: (count: number) => void): Promise<void>;
}

/**
 * A pacer for `dueMs`, rising, in ms from an origin that is set later; resolves when its thread runs, so that the
 * cost of starting it is over. Its run() calls onDue(count) in this thread whenever `count` entries are due.
 * `entry` is the module that calls runPacer(workerData) when it finds itself in the pacer's thread.
 */
export const startPacer = async (dueMs: Float64Array, entry: URL): Promise<Pacer> => {
  const progress = new Int32Array(new SharedArrayBuffer(12));
  const originMs = new Float64Array(new SharedArrayBuffer(8));
  const data: PacerData = { role: 'pacer', dueMs, originMs, progress };
  const worker = new Worker(entry, { workerData: data });
  const failed = new Promise<never>((_, reject) => {
    worker.on('error', reject);
  });
  await Promise.race([once(worker, 'online'), failed]);
  return {
    run: async (origin, onDue) => {
      originMs[0] = origin;
      Atomics.store(progress, 2, 1);
      Atomics.notify(progress, 2);
      let seen = 0;
      while (seen < dueMs.length) {
        const change = Atomics.waitAsync(progress, 0, seen);
        if (change.async) await Promise.race([change.value, failed]);
        seen = Atomics.load(progress, 0);
        onDue(seen);
      }
      await worker.terminate();
    },
  };
};

export const pacerData: unknown = workerData;
