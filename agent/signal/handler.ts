/** From a request to its answer: which route, who asks, within which limits. Answers what comes from `answer.ts`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  ALLOW_UNKNOWN,
  type Answer,
  decide,
  levelBody,
  PROBLEMS,
  type SignalRoute,
  statusBody,
  waitMsOf,
} from './answer.ts';
import { LevelStream } from './level-stream.ts';
import type { CallerLevel, LevelTable } from './level-table.ts';
import { OpenLimit, RateLimit } from './limits.ts';
import { MAX_REPORT_BYTES, parseReport, type QueueReport } from './report.ts';

export interface SignalCounts {
  onDecision(key: string, denied: boolean): void;
  onUnknown(): void;
}

export interface HandlerParts {
  table: LevelTable;
  counts: SignalCounts;
  /** A pod's report about itself, checked. @returns is it taken. */
  onReport: (podUid: string, report: QueueReport) => boolean;
  /** Part of the ETag: numbers of an earlier run must not match. */
  bootId: string;
  nowMs: () => number;
}

/** Whoever asks: what limits count, and the key of its level where it is known. */
export interface Caller {
  id: string;
  key: string | undefined;
}

const METHODS: Partial<Record<SignalRoute, readonly string[]>> = {
  level: ['GET', 'HEAD'],
  stream: ['GET'],
  status: ['GET', 'HEAD'],
  report: ['POST'],
};

/** How long a new stream beyond the limit is to wait before it tries again. */
const CROWDED_RETRY_MS = 5_000;
const STREAM_RETRY_MS = 1_000;

const sendJson = (
  response: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): void => {
  response.writeHead(status, {
    ...headers,
    'Cache-Control': 'no-store',
    'Content-Type': status === 200 ? 'application/json' : 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
};

export class SignalHandler {
  readonly #parts: HandlerParts;
  readonly #decisions = new RateLimit(5_000, 50_000);
  readonly #reads = new RateLimit(50, 2_000);
  readonly #reports = new RateLimit(5, 500);
  readonly #polls = new OpenLimit(4, 2_048);
  readonly #streams = new OpenLimit(4, 2_048);

  constructor(parts: HandlerParts) {
    this.#parts = parts;
  }

  /** Long polls and streams that are open. */
  get waiting(): number {
    return this.#polls.total + this.#streams.total;
  }

  /** @returns the answer to a request for a decision; undefined: the caller floods, and gets none. */
  decide(route: 'shed' | 'shed-403', { id, key }: Caller): Answer | undefined {
    const { table, counts, nowMs } = this.#parts;
    const use = this.#decisions.take(id, nowMs());
    if (use === 'flood') return undefined;
    if (key === undefined) counts.onUnknown();
    if (key === undefined || use === 'over') return ALLOW_UNKNOWN;
    const answer = decide(route === 'shed' ? 429 : 403, table.get(key), [Math.random(), Math.random()]);
    counts.onDecision(key, answer.status !== 200);
    return answer;
  }

  /** Every route but decisions. */
  serve(route: SignalRoute, request: IncomingMessage, response: ServerResponse, caller: Caller): void {
    const methods = METHODS[route];
    if (methods === undefined) {
      response.writeHead(404, { 'Content-Length': 0, 'Cache-Control': 'no-store' }).end();
      return;
    }
    if (!methods.includes(request.method ?? '')) {
      sendJson(response, 405, PROBLEMS[405], { Allow: methods.join(', ') });
      return;
    }
    if (caller.key === undefined) this.#parts.counts.onUnknown();
    if (route === 'report') this.#report(request, response, caller);
    else if (route === 'stream') this.#stream(response, caller);
    else this.#read(route, request, response, caller);
  }

  #read(route: SignalRoute, request: IncomingMessage, response: ServerResponse, { id, key }: Caller): void {
    const { table, nowMs } = this.#parts;
    const isWithin = this.#reads.take(id, nowMs()) === 'within';
    const level = isWithin && key !== undefined ? table.get(key) : undefined;
    if (route === 'status') {
      sendJson(response, 200, statusBody(level, table.ageMs(nowMs())));
    } else if (key === undefined || level === undefined) {
      this.#sendLevel(response, undefined, undefined);
    } else {
      this.#level(request, response, id, key, level);
    }
  }

  #level(
    request: IncomingMessage,
    response: ServerResponse,
    id: string,
    key: string,
    now: CallerLevel,
  ): void {
    const { table } = this.#parts;
    const seen = request.headers['if-none-match'];
    const waitMs = waitMsOf(request.url ?? '');
    const close = seen === this.#tagOf(now) && waitMs > 0 ? this.#polls.open(id) : undefined;
    if (close === undefined) {
      this.#sendLevel(response, now, seen);
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      stop();
      close();
    };
    const finish = (): void => {
      end();
      if (!response.writableEnded) this.#sendLevel(response, table.get(key), seen);
    };
    const timer = setTimeout(finish, waitMs);
    const stop = table.onChange(key, finish);
    response.once('close', end);
  }

  #stream(response: ServerResponse, { id, key }: Caller): void {
    const { table, bootId, nowMs } = this.#parts;
    const isWithin = this.#reads.take(id, nowMs()) === 'within';
    const close = isWithin ? this.#streams.open(id) : undefined;
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    const keyNow = (): string | undefined => key ?? table.keyOf(id);
    const stream = new LevelStream(response, { table, bootId, nowMs, keyNow });
    if (close === undefined) {
      stream.once(CROWDED_RETRY_MS);
      return;
    }
    response.once('close', () => {
      stream.stop();
      close();
    });
    stream.start(STREAM_RETRY_MS);
  }

  #report(request: IncomingMessage, response: ServerResponse, { id, key }: Caller): void {
    const { nowMs } = this.#parts;
    const isWithin = this.#reports.take(id, nowMs()) === 'within';
    const pieces: Buffer[] = [];
    let bytes = 0;
    const onData = (piece: Buffer): void => {
      bytes += piece.length;
      if (bytes <= MAX_REPORT_BYTES) {
        pieces.push(piece);
        return;
      }
      request.off('data', onData).off('end', onEnd);
      sendJson(response, 413, PROBLEMS[413], { Connection: 'close' });
    };
    const onEnd = (): void => {
      const report = parseReport(Buffer.concat(pieces).toString());
      if (report === undefined) {
        sendJson(response, 400, PROBLEMS[400]);
        return;
      }
      const podUid = key === undefined ? '' : (this.#parts.table.get(key)?.said.podUid ?? '');
      const accepted = isWithin && podUid !== '' && this.#parts.onReport(podUid, report);
      sendJson(response, 200, JSON.stringify({ v: 1, accepted }));
    };
    request.on('data', onData).on('end', onEnd);
  }

  #tagOf(level: CallerLevel | undefined): string {
    return `"${this.#parts.bootId}-${level?.seq ?? 0}"`;
  }

  #sendLevel(response: ServerResponse, level: CallerLevel | undefined, seen: string | undefined): void {
    const { table, nowMs } = this.#parts;
    const tag = this.#tagOf(level);
    if (seen === tag) {
      response.writeHead(304, { ETag: tag, 'Cache-Control': 'no-store' }).end();
      return;
    }
    sendJson(response, 200, levelBody(level, table.ageMs(nowMs()), Math.random()), { ETag: tag });
  }
}
