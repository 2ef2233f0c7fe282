/** The files that the load programs share with the bench (layouts: load/bench.h). */
import type { Arrival } from './arrivals.ts';

const HEADER_BYTES = 64;
const WORKER_BYTES = 64;
const REQUEST_BYTES = 16;
const SCHEDULE_MAGIC = 0x31444548435331n;
const PROGRESS_MAGIC = 0x31474f525031n;

const NS_PER_MS = 1e6;

/** Offsets within struct schedule, struct schedule_worker and struct request. */
const SCHEDULE = { magic: 0, workers: 8, turns: 16, originNs: 24, requestsAt: 32 } as const;
const WORKER = { due: 0, served: 4, first: 8, count: 16 } as const;
const REQUEST = { atNs: 0, doneNs: 8 } as const;
const PROGRESS = { magic: 0, threads: 8 } as const;
const THREAD = { count: 0, fromCount: 24, toCount: 32, windowGapNs: 40 } as const;

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const number = (data: DataView, at: number): number => Number(data.getBigUint64(at, true));

/** The file that a service and the pacer work on. @param arrivals in rising order of time. */
export const scheduleFile = (arrivals: readonly Arrival[], workers: number, turns: number): Uint8Array => {
  const requestsAt = HEADER_BYTES + workers * WORKER_BYTES;
  const bytes = new Uint8Array(requestsAt + arrivals.length * REQUEST_BYTES);
  const data = view(bytes);
  data.setBigUint64(SCHEDULE.magic, SCHEDULE_MAGIC, true);
  data.setUint32(SCHEDULE.workers, workers, true);
  data.setBigUint64(SCHEDULE.turns, BigInt(turns), true);
  data.setBigUint64(SCHEDULE.requestsAt, BigInt(requestsAt), true);
  let next = 0;
  for (let worker = 0; worker < workers; worker += 1) {
    const own = arrivals.filter((arrival) => arrival.worker === worker);
    const at = HEADER_BYTES + worker * WORKER_BYTES;
    data.setBigUint64(at + WORKER.first, BigInt(next), true);
    data.setBigUint64(at + WORKER.count, BigInt(own.length), true);
    for (const { atMs } of own) {
      const request = requestsAt + next * REQUEST_BYTES;
      data.setBigUint64(request + REQUEST.atNs, BigInt(Math.round(atMs * NS_PER_MS)), true);
      next += 1;
    }
  }
  return bytes;
};

/** One request as it ended; times in ms from the origin. */
export interface RequestTimes {
  atMs: number;
  /** undefined: it never did. */
  doneMs: number | undefined;
}

/** All requests of a schedule in the order of their intended starts, and its origin (CLOCK_MONOTONIC ns). */
export const readSchedule = (bytes: Uint8Array): { originNs: number; requests: RequestTimes[] } => {
  const data = view(bytes);
  if (data.getBigUint64(SCHEDULE.magic, true) !== SCHEDULE_MAGIC) throw new Error('not a schedule');
  const originNs = number(data, SCHEDULE.originNs);
  const requests: RequestTimes[] = [];
  for (
    let at = number(data, SCHEDULE.requestsAt);
    at + REQUEST_BYTES <= bytes.byteLength;
    at += REQUEST_BYTES
  ) {
    const doneNs = number(data, at + REQUEST.doneNs);
    requests.push({
      atMs: number(data, at + REQUEST.atNs) / NS_PER_MS,
      doneMs: doneNs === 0 ? undefined : (doneNs - originNs) / NS_PER_MS,
    });
  }
  return { originNs, requests: requests.sort((a, b) => a.atMs - b.atMs) };
};

export interface ThreadProgress {
  /** Until now. */
  count: number;
  /** Within the window. */
  windowCount: number;
  windowGapMs: number;
}

/** undefined: the program has not made its file yet. */
export const readProgress = (bytes: Uint8Array): ThreadProgress[] | undefined => {
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  const data = view(bytes);
  if (data.getBigUint64(PROGRESS.magic, true) !== PROGRESS_MAGIC) return undefined;
  return Array.from({ length: data.getUint32(PROGRESS.threads, true) }, (_, index) => {
    const at = HEADER_BYTES + index * 64;
    return {
      count: number(data, at + THREAD.count),
      windowCount: number(data, at + THREAD.toCount) - number(data, at + THREAD.fromCount),
      windowGapMs: number(data, at + THREAD.windowGapNs) / NS_PER_MS,
    };
  });
};

/** What the pacer wrote: the window in CLOCK_MONOTONIC ns, and the accounts at its two ends. */
export interface PacerResult {
  fromNs: number;
  toNs: number;
  maxLateMs: number;
  before: Record<string, string>;
  after: Record<string, string>;
}

export const parsePacerResult = (text: string): PacerResult => {
  const window = /^window (\d+) (\d+)$/m.exec(text);
  const late = /^max_late (\d+)$/m.exec(text);
  if (window === null || late === null) throw new Error('the pacer left no result');
  const result: PacerResult = {
    fromNs: Number(window[1]),
    toNs: Number(window[2]),
    maxLateMs: Number(late[1]) / NS_PER_MS,
    before: {},
    after: {},
  };
  for (const part of text.split(/^account /m).slice(1)) {
    const head = /^([01]) (.*)\n/.exec(part);
    if (head?.[2] === undefined) continue;
    (head[1] === '0' ? result.before : result.after)[head[2]] = part.slice(head[0].length);
  }
  return result;
};
