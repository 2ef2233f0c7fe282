/**
 * The service under test: plain HTTP, one thread a worker, a fixed amount of CPU for each request.
 *
 *   PORT          first worker's port; worker i listens on PORT + i (8080)
 *   WORKERS       threads, each with its own listener (1)
 *   BURN_TURNS    loop size of a request; PUT /burn?turns=N changes it while running (calibration)
 *   SCX_SLO_ENDPOINT  where to ask for the shed level; unset: nothing is ever turned away
 *
 * GET /stats answers with the counters below, of the worker that was asked.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { env, pid } from 'node:process';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { uniformFrom } from './arrivals.ts';
import { burn } from './burn.ts';
import {
  isShedThread,
  type LevelCells,
  levelIn,
  newLevelCells,
  runShedThread,
  startShedThread,
} from './shed-thread.ts';

/** What GET /stats answers. */
export interface ServiceStats {
  pid: number;
  turns: number;
  served: number;
  shed: number;
  level: number;
}

interface WorkerState {
  turns: number;
  served: number;
  shed: number;
  level: LevelCells;
  dice: () => number;
}

const BODY = Buffer.from('ok\n');
const SERVED_HEADERS = { 'content-type': 'text/plain', 'content-length': String(BODY.length) };

const turnAway = (state: WorkerState, response: ServerResponse): boolean => {
  const level = levelIn(state.level);
  if (level.shed === 0 || state.dice() >= level.shed) return false;
  state.shed += 1;
  response.writeHead(429, { 'retry-after': String(level.retryAfterSeconds), 'content-length': '0' });
  response.end();
  return true;
};

const serve = (state: WorkerState, request: IncomingMessage, response: ServerResponse): void => {
  if (turnAway(state, response)) return;
  // A client that hung up while its request was queued costs nothing.
  if (request.socket.destroyed) return;
  burn(state.turns, 1);
  state.served += 1;
  response.writeHead(200, SERVED_HEADERS);
  response.end(BODY);
};

const control = (state: WorkerState, request: IncomingMessage, response: ServerResponse): boolean => {
  if (request.url === '/stats') {
    const { turns, served, shed } = state;
    const stats: ServiceStats = { pid, turns, served, shed, level: levelIn(state.level).shed };
    const body = JSON.stringify(stats);
    response.writeHead(200, { 'content-length': String(body.length) });
    response.end(body);
    return true;
  }
  if (request.method === 'PUT' && request.url?.startsWith('/burn?turns=')) {
    const turns = Number(request.url.slice('/burn?turns='.length));
    response.statusCode = Number.isSafeInteger(turns) && turns >= 0 ? 204 : 400;
    if (response.statusCode === 204) state.turns = turns;
    response.end();
    return true;
  }
  return false;
};

/** Starts one worker's listener on `port`. */
export const listenService = (port: number, turns: number, level: LevelCells): Server => {
  const state: WorkerState = {
    turns,
    served: 0,
    shed: 0,
    level,
    dice: uniformFrom(port),
  };
  const server = createServer((request, response) => {
    if (!control(state, request, response)) serve(state, request, response);
  });
  // Queued requests may wait for long under a scheduler that starves the service: no timeout may cut them.
  server.keepAliveTimeout = 0;
  server.headersTimeout = 0;
  server.requestTimeout = 0;
  server.listen({ port, backlog: 4096 });
  return server;
};

/** workerData of a further worker. */
interface WorkerThreadData {
  index: number;
  cells: LevelCells;
}

const listenAs = ({ index, cells }: WorkerThreadData): Server =>
  listenService(Number(env.PORT ?? 8080) + index, Number(env.BURN_TURNS ?? 0), cells);

const main = (): void => {
  const entry = new URL(import.meta.url);
  const cells = newLevelCells();
  const server = listenAs({ index: 0, cells });
  if (env.SCX_SLO_ENDPOINT !== undefined) startShedThread(entry, env.SCX_SLO_ENDPOINT, cells);
  for (let index = 1; index < Number(env.WORKERS ?? 1); index += 1) {
    const data: WorkerThreadData = { index, cells };
    new Worker(entry, { workerData: data });
  }
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
    // Other threads hold no state that is worth waiting for.
    setTimeout(() => process.exit(0), 100).unref();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
};

if (isShedThread(workerData)) runShedThread(workerData);
else if (!isMainThread) listenAs(workerData as WorkerThreadData);
else if (import.meta.main) main();
