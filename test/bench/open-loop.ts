/**
 * Open-loop load: the next request never waits for an answer, so a slow service cannot slow the load down and hide its
 * own latency.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { pid } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Arrival, poissonArrivals } from './arrivals.ts';
import { Connections } from './connections.ts';
import { nowMs, startPacer } from './pacer.ts';
import { StreamRecorder, type StreamResult, type StreamSpec } from './stream.ts';

export interface LoadSpec {
  /** Quiet time between the generator's own start and its first request: starting up is a load of its own. */
  settleSeconds: number;
  /** Sent before the window with another seed, and not counted: compilers warm up, queues reach their length. */
  warmUpSeconds: number;
  seconds: number;
  /** How long answers may take after the window before their requests count as never answered. */
  graceSeconds: number;
  streams: StreamSpec[];
  /** SCHED_FIFO priority while requests are sent; starting up and writing results would hold up a CPU for long. */
  realtimePriority?: number;
  /** Read at the start and at the end of the window: CPU accounts that belong to exactly this window. */
  snapshotFiles: string[];
}

export interface LoadResult {
  windowMs: number;
  /** File name -> text; a file that could not be read is missing. */
  before: Record<string, string>;
  after: Record<string, string>;
  streams: StreamResult[];
}

/** Between the start of the clock and the first request. */
const LEAD_MS = 50;

const SOON_MS = 500;

interface LiveStream {
  recorder: StreamRecorder;
  pools: Connections[];
  arrivals: Arrival[];
}

/** One thing to do at one time. */
interface Step {
  atMs: number;
  run: () => void;
}

const snapshot = (files: string[]): Record<string, string> => {
  const texts: Record<string, string> = {};
  for (const file of files) {
    try {
      texts[file] = readFileSync(file, 'latin1');
    } catch {
      // A cgroup that has gone has no account; the reader decides what that means.
    }
  }
  return texts;
};

/** Throws without the right to. Threads that start later inherit it. */
const setPolicy = (policy: '--fifo' | '--other', priority: number): void => {
  execFileSync('chrt', ['--all-tasks', policy, '--pid', String(priority), String(pid)], { stdio: 'ignore' });
};

const openPools = async (stream: StreamSpec): Promise<Connections[]> => {
  const pools = Array.from(
    { length: stream.workers },
    (_, worker) => new Connections({ host: stream.host, port: stream.port + worker }),
  );
  for (const pool of pools) await pool.open(stream.connections);
  return pools;
};

/** Warm-up and window of one stream, in ms from the start of the window. */
const arrivalsOf = (stream: StreamSpec, spec: LoadSpec): Arrival[] => {
  const warmUp = poissonArrivals({ ...stream, seed: stream.seed + 1, seconds: spec.warmUpSeconds });
  const counted = poissonArrivals({ ...stream, seconds: spec.seconds });
  return [...warmUp.map((a) => ({ ...a, atMs: a.atMs - spec.warmUpSeconds * 1000 })), ...counted];
};

/** Time from the start of the window, once that is set. */
interface WindowClock {
  startMs: number;
}
const sinceStart = (clock: WindowClock): number => nowMs() - clock.startMs;

const requestsOf = ({ recorder, pools, arrivals }: LiveStream, clock: WindowClock): Step[] =>
  arrivals.map((arrival) => ({
    atMs: arrival.atMs,
    run: () => {
      recorder.sent(arrival, sinceStart(clock));
      pools[arrival.worker]?.send((status) => recorder.answered(arrival, status, sinceStart(clock)));
    },
  }));

const drain = async (streams: LiveStream[], graceSeconds: number): Promise<void> => {
  const until = nowMs() + graceSeconds * 1000;
  while (nowMs() < until && streams.some(({ recorder }) => !recorder.complete)) await sleep(10);
};

/** Told while a load runs; must be cheap, they run in the sender's thread. */
export interface LoadProgress {
  /** Every connection is open: only requests follow. */
  onOpen(): void;
  /** SOON_MS before the window. */
  onSoon(): void;
  onSecond(second: number): void;
}

/** Runs the whole load. `entry` is the module that runs the pacer when loaded in a thread (this one). */
export const runLoad = async (spec: LoadSpec, entry: URL, progress?: LoadProgress): Promise<LoadResult> => {
  const pools: Connections[][] = [];
  for (const stream of spec.streams) pools.push(await openPools(stream));
  const clock: WindowClock = { startMs: 0 };
  const windowMs = spec.seconds * 1000;
  const live = spec.streams.map(
    (stream, index): LiveStream => ({
      recorder: new StreamRecorder(stream, windowMs),
      pools: pools[index] ?? [],
      arrivals: arrivalsOf(stream, spec),
    }),
  );
  const window = { startMs: 0, endMs: 0, before: {}, after: {} };
  const onStart = (): void => {
    window.startMs = nowMs();
    window.before = snapshot(spec.snapshotFiles);
  };
  const onEnd = (): void => {
    window.endMs = nowMs();
    window.after = snapshot(spec.snapshotFiles);
    for (const { recorder } of live) recorder.windowEnded();
  };
  const seconds = Array.from({ length: Math.ceil(spec.seconds) - 1 }, (_, index) => ({
    atMs: (index + 1) * 1000,
    run: () => progress?.onSecond(index + 1),
  }));
  const soon = { atMs: -SOON_MS, run: () => progress?.onSoon() };
  const marks = [soon, { atMs: 0, run: onStart }, ...seconds, { atMs: windowMs, run: onEnd }];
  const steps = [...marks, ...live.flatMap((stream) => requestsOf(stream, clock))];
  steps.sort((a, b) => a.atMs - b.atMs);
  const pacer = await startPacer(
    Float64Array.from(steps, (step) => step.atMs),
    entry,
  );

  // All that costs much is over: from here on only requests follow.
  await sleep(spec.settleSeconds * 1000);
  progress?.onOpen();
  if (spec.realtimePriority !== undefined) setPolicy('--fifo', spec.realtimePriority);
  clock.startMs = nowMs() + Math.max(spec.warmUpSeconds * 1000, SOON_MS) + LEAD_MS;
  let done = 0;
  await pacer.run(clock.startMs, (count) => {
    for (; done < count; done += 1) steps[done]?.run();
  });
  if (spec.realtimePriority !== undefined) setPolicy('--other', 0);
  await drain(live, spec.graceSeconds);
  const streams = live.map(({ recorder, pools: own }) =>
    recorder.finish(
      sinceStart(clock),
      own.reduce((sum, pool) => sum + pool.openedLate, 0),
    ),
  );
  for (const pool of pools.flat()) pool.close();
  const { before, after } = window;
  return { windowMs: window.endMs - window.startMs, before, after, streams };
};
