/**
 * Wakes the sender at the times of a schedule. Node's own timers have whole milliseconds, which would add up
 * to 1 ms to every latency; a second thread that sleeps in Atomics.wait has microseconds.
 */
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
  /** Absolute due times by nowMs(), rising. */
  dueMs: Float64Array;
  /** [0]: how many are due so far. [1]: never changes, slept on. */
  progress: Int32Array;
}

export const isPacer = (data: unknown): data is PacerData =>
  typeof data === 'object' && data !== null && 'role' in data && data.role === 'pacer';

/** Body of the pacer's thread. */
export const runPacer = ({ dueMs, progress }: PacerData): void => {
  for (const [index, due] of dueMs.entries()) {
    for (let left = due - nowMs(); left > 0; left = due - nowMs()) Atomics.wait(progress, 1, 0, left);
    Atomics.store(progress, 0, index + 1);
    Atomics.notify(progress, 0);
  }
};

/**
 * Calls `onDue(count)` in this thread whenever `count` entries of `dueMs` are due; resolves after the last.
 * `entry` is the module that calls runPacer(workerData) when it finds itself in the pacer's thread.
 */
export const pace = async (
  dueMs: Float64Array,
  entry: URL,
  onDue: (count: number) => void,
): Promise<void> => {
  const progress = new Int32Array(new SharedArrayBuffer(8));
  const data: PacerData = { role: 'pacer', dueMs, progress };
  const worker = new Worker(entry, { workerData: data });
  const failed = new Promise<never>((_, reject) => {
    worker.on('error', reject);
  });
  let seen = 0;
  while (seen < dueMs.length) {
    const change = Atomics.waitAsync(progress, 0, seen);
    if (change.async) await Promise.race([change.value, failed]);
    seen = Atomics.load(progress, 0);
    onDue(seen);
  }
  await worker.terminate();
};

export const pacerData: unknown = workerData;
