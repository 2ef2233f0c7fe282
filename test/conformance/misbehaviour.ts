/** The ways in which a signal can fail, each on the raw connection of one request. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export const MISBEHAVIOURS = [
  'hang',
  'close',
  'error-500',
  'error-503',
  'redirect',
  'garbage',
  'not-http',
  'cut',
  'huge',
  'no-content',
  'trickle',
] as const;

export type Misbehaviour = (typeof MISBEHAVIOURS)[number];

export const isMisbehaviour = (value: unknown): value is Misbehaviour =>
  MISBEHAVIOURS.some((known) => known === value);

const TRICKLE_MS = 100;

/** One byte at a time until the other side gives up. */
const trickle = (response: ServerResponse): void => {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 4_096 });
  const timer = setInterval(() => response.write(' '), TRICKLE_MS);
  response.on('close', () => clearInterval(timer));
};

const ACTS: Readonly<Record<Misbehaviour, (request: IncomingMessage, response: ServerResponse) => void>> = {
  hang: () => undefined,
  close: (request) => request.socket.destroy(),
  'error-500': (_, response) => response.writeHead(500).end('internal error'),
  'error-503': (_, response) => response.writeHead(503, { 'Retry-After': '9' }).end(),
  redirect: (request, response) => response.writeHead(302, { Location: request.url ?? '/' }).end(),
  garbage: (_, response) => response.writeHead(200).end('{"shed":"NaN","ttl_ms":[]}'),
  'not-http': (request) => request.socket.end('\u0000\u0001SSH-2.0-nothing of yours\r\n\r\n'),
  cut: (_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 100 });
    response.write('{"shed":0.95,');
    setTimeout(() => response.destroy(), 20);
  },
  huge: (_, response) => response.writeHead(200).end(`{"shed":0.95,"x":"${'x'.repeat(1_000_000)}"}`),
  'no-content': (_, response) => response.writeHead(204).end(),
  trickle: (_, response) => trickle(response),
};

export const misbehave = (how: Misbehaviour, request: IncomingMessage, response: ServerResponse): void =>
  ACTS[how](request, response);
