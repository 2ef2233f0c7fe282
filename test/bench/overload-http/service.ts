/**
 * A service as people write them: plain node:http on one thread, a fixed amount of CPU for each request, and in front
 * of it the client library where it is switched on.
 *
 *   PORT                       (8080)
 *   SCX_SLO_ENDPOINT           where the library asks
 *   SCX_SLO_BUDGET_MS          its pod's budget
 *
 * PUT /burn?turns=N sets the work of a request, PUT /shedding?on=0|1 the library; GET /stats tells what it did.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { env } from 'node:process';
import { createShedder, type HttpListener, type Shedder } from '../../../client/index.ts';
import { burn } from '../burn.ts';

const BODY = Buffer.from('ok\n');
const HEADERS = { 'content-type': 'text/plain', 'content-length': String(BODY.length) };

let turns = 0;
let served = 0;
let shedder: Shedder | undefined;

const work: HttpListener = (request, response) => {
  // A client that hung up while its request was queued costs nothing.
  if (request.socket.destroyed) return;
  burn(turns, 1);
  served += 1;
  response.writeHead(200, HEADERS);
  response.end(BODY);
};

let listener: HttpListener = work;

const switchShedding = (on: boolean): void => {
  shedder?.close();
  shedder = on ? createShedder({}) : undefined;
  listener = shedder?.http(work) ?? work;
};

const NUMBER = /^[0-9]{1,9}$/;

/** @returns was it a request to the service itself? */
const control = ({ method, url = '' }: IncomingMessage, response: ServerResponse): boolean => {
  const { pathname, searchParams } = new URL(url, 'http://service');
  if (pathname === '/stats') {
    response.end(JSON.stringify({ served, turns, metrics: shedder?.metrics() ?? null }));
    return true;
  }
  const value = searchParams.get('turns') ?? searchParams.get('on') ?? '';
  if (method !== 'PUT' || !NUMBER.test(value)) return false;
  if (pathname === '/burn') turns = Number(value);
  else if (pathname === '/shedding') switchShedding(value === '1');
  else return false;
  response.statusCode = 204;
  response.end();
  return true;
};

const server = createServer((request, response) => {
  const isControl = request.url !== '/' && control(request, response);
  if (!isControl) listener(request, response);
});
// Queued requests may wait for long where nothing is refused: no timeout may cut them.
server.keepAliveTimeout = 0;
server.headersTimeout = 0;
server.requestTimeout = 0;
server.listen({ port: Number(env.PORT ?? 8080), backlog: 4096 });
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
