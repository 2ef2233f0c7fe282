/**
 * Sets a service's loop so that one request costs a given CPU time in all: HTTP, kernel, garbage collection
 * and the loop itself. Measured on the idle node, by whatever account the caller trusts (its cgroup's
 * cpu.stat), because that is what the runs are judged by later.
 */
import { Agent, request } from 'node:http';
import { type BurnProbe, turnsFor } from './burn.ts';
import type { Target } from './connections.ts';

export interface Calibration {
  turns: number;
  /** CPU per request without the loop. */
  httpMs: number;
  /** CPU per request that the last probe found with these turns. */
  cpuMs: number;
}

/** Without the loop: baseline code, caches, connections. */
const WARM_UP_REQUESTS = 100;
const REQUESTS = 40;
const FIRST_GUESS_TURNS = 200_000;
const ROUNDS = 3;
/** Closer than this to the target is good enough; the runs are judged at 5 %. */
const CLOSE_ENOUGH = 0.01;

const call = (target: Target, agent: Agent, method: string, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = request({ ...target, agent, method, path }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end();
  });

/** Calibrates one worker. `cpuSeconds` reads the account of the service's CPU time. */
export const calibrate = async (
  target: Target,
  targetMs: number,
  cpuSeconds: () => number,
): Promise<Calibration> => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const probe = async (turns: number, requests = REQUESTS): Promise<BurnProbe> => {
    const status = await call(target, agent, 'PUT', `/burn?turns=${turns}`);
    if (status !== 204)
      throw new Error(`${target.host}:${target.port} refused to change its load: ${status}`);
    const before = cpuSeconds();
    for (let sent = 0; sent < requests; sent += 1) await call(target, agent, 'GET', '/');
    return { turns, cpuMs: ((cpuSeconds() - before) * 1000) / requests };
  };
  try {
    await probe(0, WARM_UP_REQUESTS);
    const bare = await probe(0);
    let loaded = await probe(FIRST_GUESS_TURNS);
    for (let round = 0; round < ROUNDS; round += 1) {
      const turns = turnsFor(targetMs, bare, loaded);
      if (turns === undefined) {
        throw new Error(
          `a request costs ${bare.cpuMs.toFixed(2)} ms before any work: ${targetMs} ms is out of reach`,
        );
      }
      loaded = await probe(turns);
      if (Math.abs(loaded.cpuMs / targetMs - 1) <= CLOSE_ENOUGH) break;
    }
    return { turns: loaded.turns, httpMs: bare.cpuMs, cpuMs: loaded.cpuMs };
  } finally {
    agent.destroy();
  }
};
