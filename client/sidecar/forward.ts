/** Hands one request to the app and its answer back, as they come: nothing is kept, both sides set the pace. */
import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import { pipeline } from 'node:stream';
import { endToEnd, hasBody, withCaller } from './headers.ts';
import type { Address } from './options.ts';

export interface AppCounts {
  /** The app could not be reached, or broke off before it answered. */
  onAppError(): void;
}

const ignore = (): void => undefined;

/** An answer of the sidecar itself. */
const fail = (response: ServerResponse, status: 400 | 502): void => {
  if (response.headersSent || response.destroyed) {
    // Cut off, so that the caller does not take half an answer for a whole one.
    response.destroy();
    return;
  }
  response.writeHead(status, { 'Content-Length': '0', Connection: 'close' });
  response.end();
};

/** Writes the app's answer. Also for answers that refuse an upgrade. */
export const answerWith = (answer: IncomingMessage, response: ServerResponse): void => {
  response.sendDate = false;
  try {
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders));
  } catch {
    answer.destroy();
    fail(response, 502);
    return;
  }
  response.flushHeaders();
  answer.on('end', () => {
    if (answer.rawTrailers.length > 0) response.addTrailers(pairs(answer.rawTrailers));
  });
  pipeline(answer, response, ignore);
};

const pairs = (raw: readonly string[]): [string, string][] =>
  Array.from({ length: raw.length / 2 }, (_, n) => [raw[2 * n] ?? '', raw[2 * n + 1] ?? '']);

const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);

/** An app may answer and close before it has read everything: its answer counts, the rest is thrown away. */
const sendBody = (incoming: IncomingMessage, call: ClientRequest): void => {
  // The app may answer before the first part of the body is there.
  call.flushHeaders();
  incoming.pipe(call);
  call.on('error', () => {
    incoming.unpipe(call);
    incoming.resume();
  });
};

export class Forwarder {
  readonly #app: Address;
  readonly #agent: Agent;
  readonly #counts: AppCounts;

  constructor(app: Address, agent: Agent, counts: AppCounts) {
    this.#app = app;
    this.#agent = agent;
    this.#counts = counts;
  }

  forward(incoming: IncomingMessage, response: ServerResponse): void {
    this.#try(incoming, response, !hasBody(incoming.headers));
  }

  /** @param mayRepeat nothing of the request was used up, so that a connection that was just closed costs no 502. */
  #try(incoming: IncomingMessage, response: ServerResponse, mayRepeat: boolean): void {
    const call = this.#call(incoming);
    if (call === undefined) {
      fail(response, 400);
      return;
    }
    let answered = false;
    call.on('response', (answer) => {
      answered = true;
      answerWith(answer, response);
    });
    call.on('continue', () => {
      if (!response.headersSent) response.writeContinue();
    });
    call.on('error', (error: NodeJS.ErrnoException) => {
      if (answered || response.destroyed) return;
      if (mayRepeat && call.reusedSocket && error.code === 'ECONNRESET') {
        this.#try(incoming, response, false);
        return;
      }
      this.#counts.onAppError();
      fail(response, 502);
    });
    response.once('close', () => {
      // The caller went away.
      if (!response.writableFinished) call.destroy();
    });
    if (!hasBody(incoming.headers)) call.end();
    else sendBody(incoming, call);
  }

  #call(incoming: IncomingMessage): ClientRequest | undefined {
    const { method = 'GET', url = '/', rawHeaders, headers, socket } = incoming;
    const kept = withCaller(endToEnd(rawHeaders), socket.remoteAddress);
    if (headers.host === undefined) kept.push('Host', `${this.#app.host}:${this.#app.port}`);
    // A body without a length is sent in chunks, as it came; one that is not there has the length 0.
    if (headers['transfer-encoding'] !== undefined) kept.push('Transfer-Encoding', 'chunked');
    else if (headers['content-length'] === undefined && !BODILESS.has(method))
      kept.push('Content-Length', '0');
    try {
      const { host, port } = this.#app;
      return request({ host, port, method, path: url, headers: kept, agent: this.#agent, setHost: false });
    } catch {
      // A target or header that node:http reads, but does not write.
      return undefined;
    }
  }
}
