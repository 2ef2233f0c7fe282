/** The two express applications: admission over TLS, and health and metrics on a port of their own. */
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import type { Logger } from 'pino';
import { admit, type Decide } from './admit.ts';
import { BodyBudget } from './body-budget.ts';
import { countJsonValues } from './json-values.ts';
import type { Metrics } from './metrics.ts';

/** An object is 1.5 MiB at most in etcd, and an UPDATE carries two of them. */
export const BODY_MAX_BYTES = 3 * 1024 * 1024;

/** Four of the largest, or two thousand of the usual size. */
const BODIES_MAX_BYTES = 4 * BODY_MAX_BYTES;

/** Ten times those of the largest pods; some 20 MB when parsed. Smaller bodies cannot hold as many. */
const VALUES_MAX = 250_000;
const VALUES_CHECKED_FROM_BYTES = VALUES_MAX;

export interface AppState {
  log: Logger;
  metrics: Metrics;
  decide: Decide;
  /** True from SIGTERM on. */
  draining(): boolean;
  /** Why this replica should get no traffic; undefined: it should. */
  notReady(): string | undefined;
  /** What an operator should know although the replica is ready; one line, empty: nothing. */
  remark(): string;
}

export function admissionApp(state: AppState): Express {
  const app = bareApp();
  app.all('/mutate', (req, res, next) => {
    res.locals.startMs = performance.now();
    if (req.method !== 'POST') {
      res.setHeader('allow', 'POST');
      refuse(state, res, 405, 'POST an AdmissionReview');
    } else if (req.is('application/json') === false) {
      refuse(state, res, 415, 'content-type must be application/json');
    } else {
      next();
    }
  });
  app.use('/mutate', withinBudget(state, new BodyBudget(BODIES_MAX_BYTES, BODY_MAX_BYTES)));
  // `inflate: false`: an API server does not compress, and 3 MiB of gzip are 3 GiB of JSON.
  app.use(
    '/mutate',
    express.json({
      limit: BODY_MAX_BYTES,
      type: 'application/json',
      inflate: false,
      verify: (_req, _res, body) => refuseTooManyValues(body),
    }),
  );
  app.post('/mutate', (req, res) => {
    const answer = admit(req.body, state.decide);
    // The request outlives its answer by a turn or more; what it parsed must not.
    req.body = undefined;
    if (answer.status === 400) {
      refuse(state, res, 400, answer.message);
      return;
    }
    send(state, res, 200, answer.review);
    const durationMs = performance.now() - res.locals.startMs;
    state.metrics.requests.inc({ decision: answer.decision });
    state.metrics.durationSeconds.observe(durationMs / 1000);
    state.metrics.warnings.inc(answer.review.response.warnings?.length ?? 0);
    const level = answer.decision === 'failed' ? 'error' : answer.decision === 'patched' ? 'info' : 'debug';
    state.log[level]({ ...answer.summary, decision: answer.decision, durationMs }, 'admission');
  });
  app.use((_req, res) => send(state, res, 404, 'not found: the webhook answers POST /mutate'));
  app.use(onError(state));
  return app;
}

function refuseTooManyValues(body: Buffer): void {
  if (body.length > VALUES_CHECKED_FROM_BYTES && countJsonValues(body, VALUES_MAX) > VALUES_MAX) {
    throw Object.assign(new Error('too many values'), { status: 413 });
  }
}

function withinBudget(state: AppState, bodies: BodyBudget): RequestHandler {
  return (req, res, next) => {
    const release = bodies.take(req);
    if (release === undefined) {
      // The API server's client asks again after this time where its own limit allows.
      res.setHeader('retry-after', '1');
      refuse(state, res, 503, 'too many large requests at once');
      return;
    }
    res.once('close', release);
    next();
  };
}

export function healthApp(state: AppState): Express {
  const app = bareApp();
  app.get('/healthz', (_req, res) => send(state, res, 200, 'ok'));
  app.get('/readyz', (_req, res) => {
    const reason = state.draining() ? 'shutting down' : state.notReady();
    const ok = ['ok', state.remark()].filter((text) => text !== '').join('\n');
    send(state, res, reason === undefined ? 200 : 503, reason ?? ok);
  });
  app.get('/metrics', async (_req, res) => {
    const text = await state.metrics.registry.metrics();
    res.setHeader('content-type', state.metrics.registry.contentType);
    res.end(text);
  });
  app.use((_req, res) => send(state, res, 404, 'not found: /healthz, /readyz, /metrics'));
  app.use(onError(state));
  return app;
}

function bareApp(): Express {
  return express().disable('x-powered-by').disable('etag');
}

function refuse(state: AppState, res: Response, status: number, message: string): void {
  state.metrics.requests.inc({ decision: 'refused' });
  send(state, res, status, message);
}

function send(state: AppState, res: Response, status: number, body: string | object): void {
  if (state.draining()) {
    // Decided when the answer is written: a request that began before the drain must close its connection too.
    res.setHeader('connection', 'close');
  }
  res.status(status);
  if (typeof body === 'string') {
    res.type('text/plain').send(`${body}\n`);
  } else {
    res.json(body);
  }
}

/** The body parser's own errors carry a 4xx; their messages may quote the input, so none is passed on. */
const MESSAGES: Readonly<Record<number, string>> = {
  400: 'the body is not JSON',
  413: `the body is larger than ${BODY_MAX_BYTES} bytes, or has more than ${VALUES_MAX} values`,
  415: 'the body must be plain application/json in a UTF encoding',
};

function onError(state: AppState): ErrorRequestHandler {
  return (error: unknown, req, res, next) => {
    const status = statusOf(error);
    if (status >= 500) {
      const kind = error instanceof Error ? error.constructor.name : typeof error;
      state.log.error({ kind, path: req.path.slice(0, 64) }, 'request failed');
    }
    if (res.headersSent) {
      next(error);
    } else if (status < 500) {
      refuse(state, res, status, MESSAGES[status] ?? 'bad request');
    } else {
      send(state, res, 500, 'internal error');
    }
  };
}

function statusOf(error: unknown): number {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
