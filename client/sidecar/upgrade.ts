/** Upgrades (WebSocket): after the app's 101 the two connections are one. A refusal of the app is an ordinary answer. */
import { type IncomingMessage, request, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type AppCounts, answerWith } from './forward.ts';
import { endToEnd, withCaller } from './headers.ts';
import type { Address } from './options.ts';

const statusLine = (answer: IncomingMessage): string =>
  `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n`;

const headerLines = (raw: readonly string[]): string => {
  const lines: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) lines.push(`${raw[i]}: ${raw[i + 1]}\r\n`);
  return lines.join('');
};

/** A short answer on a connection that has no ServerResponse. */
export const answerRaw = (
  socket: Duplex,
  line: string,
  headers: Readonly<Record<string, string>> = {},
): void => {
  if (!socket.writable) return;
  const raw = Object.entries(headers).flat();
  socket.end(`HTTP/1.1 ${line}\r\n${headerLines(raw)}Content-Length: 0\r\nConnection: close\r\n\r\n`);
};

const join = (one: Duplex, other: Duplex): void => {
  one.pipe(other);
  other.pipe(one);
  for (const [side, far] of [
    [one, other],
    [other, one],
  ] as const) {
    side.on('error', () => far.destroy());
    side.on('close', () => far.destroy());
  }
};

export class Upgrader {
  readonly #app: Address;
  readonly #counts: AppCounts;
  readonly #tunnels = new Set<Duplex>();

  constructor(app: Address, counts: AppCounts) {
    this.#app = app;
    this.#counts = counts;
  }

  get open(): number {
    return this.#tunnels.size;
  }

  close(): void {
    for (const socket of this.#tunnels) socket.destroy();
  }

  upgrade(incoming: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#tunnels.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#tunnels.delete(socket));
    try {
      this.#ask(incoming, socket, head);
    } catch {
      answerRaw(socket, '400 Bad Request');
    }
  }

  #ask(incoming: IncomingMessage, socket: Socket, head: Buffer): void {
    const { method, url, headers, rawHeaders } = incoming;
    const kept = withCaller(endToEnd(rawHeaders), socket.remoteAddress);
    kept.push('Connection', 'Upgrade', 'Upgrade', headers.upgrade ?? '');
    const call = request({ ...this.#app, method, path: url, headers: kept, agent: false, setHost: false });
    socket.once('close', () => call.destroy());
    call.on('error', () => {
      this.#counts.onAppError();
      answerRaw(socket, '502 Bad Gateway');
    });
    call.on('upgrade', (answer, far, farHead) => {
      far.setTimeout(0);
      socket.setTimeout(0);
      socket.write(`${statusLine(answer)}${headerLines(answer.rawHeaders)}\r\n`);
      if (farHead.length > 0) socket.write(farHead);
      if (head.length > 0) far.write(head);
      join(socket, far);
    });
    call.on('response', (answer) => {
      const response = new ServerResponse(incoming);
      response.assignSocket(socket);
      response.shouldKeepAlive = false;
      response.on('finish', () => socket.end());
      answerWith(answer, response);
    });
    call.end();
  }
}
