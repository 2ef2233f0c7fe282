/** Calls at a rate, or as many as go. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiServer, Review } from './api-server.ts';

export interface LoadResult {
  calls: number;
  failures: Map<string, number>;
  latenciesMs: number[];
  seconds: number;
}

export interface Load {
  result: LoadResult;
  /** Resolves when no call is under way any more. */
  stop(): Promise<LoadResult>;
}

const newResult = (): LoadResult => ({ calls: 0, failures: new Map(), latenciesMs: [], seconds: 0 });

async function callInto(result: LoadResult, apiServer: ApiServer, reviews: readonly Review[]): Promise<void> {
  const review = reviews[result.calls % reviews.length];
  if (review === undefined) throw new Error('no reviews');
  result.calls += 1;
  const { failure, milliseconds } = await apiServer.call(review);
  if (failure === undefined) result.latenciesMs.push(milliseconds);
  else result.failures.set(failure, (result.failures.get(failure) ?? 0) + 1);
}

/**
 * As many as a transport keeps connections for; what arrives beyond waits for its turn. More at once would make each
 * call a handshake, on both sides, and on shared CPUs the handshakes alone keep it so.
 */
const IN_FLIGHT_MAX = 25;

/** Arrivals of a Poisson process, whether or not answers come: what many controllers together look like. */
export function startRate(apiServer: ApiServer, reviews: readonly Review[], perSecond: number): Load {
  const result = newResult();
  const startedMs = performance.now();
  const open = new Set<Promise<void>>();
  let isOver = false;
  const run = async (): Promise<void> => {
    for (let dueMs = startedMs; !isOver; await sleep(1)) {
      const nowMs = performance.now();
      for (
        ;
        dueMs <= nowMs && open.size < IN_FLIGHT_MAX;
        dueMs += (-Math.log(1 - Math.random()) * 1000) / perSecond
      ) {
        const call: Promise<void> = callInto(result, apiServer, reviews).finally(() => open.delete(call));
        open.add(call);
      }
    }
  };
  const running = run();
  return {
    result,
    stop: async () => {
      isOver = true;
      result.seconds = (performance.now() - startedMs) / 1000;
      await running;
      await Promise.all(open);
      return result;
    },
  };
}

/** So many callers, each with its next call when the last is answered: finds what the replicas can do. */
export async function runCallers(
  apiServer: ApiServer,
  reviews: readonly Review[],
  callers: number,
  seconds: number,
): Promise<LoadResult> {
  const result = newResult();
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1000;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() < endMs) await callInto(result, apiServer, reviews);
    }),
  );
  result.seconds = (performance.now() - startedMs) / 1000;
  return result;
}
