/**
 * The shed level in memory that all threads of a service share, kept fresh by a thread of its own: one that serves
 * a queue of requests would get to its own questions only after all of them.
 */
import { Worker } from 'node:worker_threads';
import { pollShedLevel, type ShedLevel } from './shed-poller.ts';

/** [0]: share to turn away in 1/10,000. [1]: seconds for Retry-After. */
export type LevelCells = Int32Array;

/** workerData of the thread. */
export interface ShedThreadData {
  role: 'shed';
  endpoint: string;
  cells: LevelCells;
}

export const isShedThread = (data: unknown): data is ShedThreadData =>
  typeof data === 'object' && data !== null && 'role' in data && data.role === 'shed';

export const newLevelCells = (): LevelCells => new Int32Array(new SharedArrayBuffer(8));

export const levelIn = (cells: LevelCells): ShedLevel => ({
  shed: Atomics.load(cells, 0) / 10_000,
  retryAfterSeconds: Math.max(1, Atomics.load(cells, 1)),
});

/** Body of the thread. */
export const runShedThread = ({ endpoint, cells }: ShedThreadData): void => {
  pollShedLevel(endpoint, {
    onLevel: ({ shed, retryAfterSeconds }) => {
      Atomics.store(cells, 1, retryAfterSeconds);
      Atomics.store(cells, 0, Math.round(shed * 10_000));
    },
  });
};

/** `entry` is the module that calls runShedThread(workerData) when it finds itself in such a thread. */
export const startShedThread = (entry: URL, endpoint: string, cells: LevelCells): void => {
  const workerData: ShedThreadData = { role: 'shed', endpoint, cells };
  new Worker(entry, { workerData }).unref();
};
