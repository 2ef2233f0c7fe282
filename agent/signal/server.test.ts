import { request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PodLevel } from '../shed/feed.ts';
import { decide, levelBody, retryAfterMs, routeOf, waitMsOf } from './answer.ts';
import { Connections } from './connections.ts';
import { SignalHandler } from './handler.ts';
import { type CallerLevel, LevelTable } from './level-table.ts';
import { createSignalServer } from './server.ts';

const levelOf = (shedRatio: number): PodLevel => ({
  key: 'pod/a',
  podUid: 'a',
  podIps: ['127.0.0.2'],
  importance: 50,
  shedRatio,
  computedRatio: shedRatio,
  state: shedRatio > 0 ? 'shedding' : 'ok',
  reason: 'secret',
  inputs: {
    budgetMs: 50,
    waitP95Ms: 12.5,
    missRatio: 0.01,
    pressure: null,
    throttled: 0,
    queueWaitMs: null,
    severity: 3,
    nodeBusy: 1,
    demandCpus: 1.5,
  },
});

describe('answers', () => {
  it.each([
    ['/v1/shed', 'shed'],
    ['/v1/shed?next=/v1/level', 'shed'],
    ['/v1/shed/orders/1?x=1', 'shed'],
    ['/v1/shed-403', 'shed-403'],
    ['/v1/shed-403/a', 'shed-403'],
    ['http://host:1/v1/shed', 'shed'],
    ['/v1/shedding', 'none'],
    ['/v1/level?wait=1', 'level'],
    ['/v1/level/x', 'none'],
    ['/v1/level/stream', 'stream'],
    ['/v1/status', 'status'],
    ['/v1/report', 'report'],
    ['HTTPS://host/v1/shed/x', 'shed'],
    ['constructor', 'none'],
    ['*', 'none'],
    ['example.org:443', 'none'],
    ['/', 'none'],
    ['', 'none'],
    ['http://', 'none'],
  ])('%s goes to %s', (url, route) => {
    expect(routeOf(url)).toBe(route);
  });

  it('denies as often as the level says, and tells the end user nothing', () => {
    const level: CallerLevel = { said: levelOf(0.25), shed: 0.25, state: 'shedding', seq: 7 };
    void fc.assert(
      fc.property(
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (roll, jitter) => {
          const answer = decide(429, level, [roll, jitter]);
          expect(answer.status).toBe(roll < 0.25 ? 429 : 200);
          if (answer.status === 200) return;
          expect(answer.headers['Retry-After']).toBeGreaterThanOrEqual(1);
          expect(answer.headers['Retry-After']).toBeLessThanOrEqual(15);
          expect(Object.keys(answer.headers)).not.toContainEqual(expect.stringMatching(/scx/i));
          expect(JSON.parse(answer.body)).toEqual({
            type: 'about:blank',
            title: 'Too Many Requests',
            status: 429,
          });
          expect(answer.body.length).toBeLessThanOrEqual(128);
        },
      ),
    );
    expect(retryAfterMs(0.95, 1)).toBe(15_000);
    expect(waitMsOf('/v1/level?wait=99999')).toBe(30_000);
    expect(waitMsOf('/v1/level?wait=-1')).toBe(0);
    expect(JSON.parse(levelBody(undefined, 3, 0))).toMatchObject({ shed: 0, state: 'unknown' });
  });
});

interface Reply {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

describe('server', () => {
  const table = new LevelTable();
  const seen = { denied: 0, allowed: 0, unknown: 0 };
  let server: Server;
  let port = 0;

  const publish = (level: number): void => {
    table.take({ full: true, levels: [levelOf(level)], gone: [] }, performance.now());
  };

  const call = (
    path: string,
    more: { method?: string; from?: string; headers?: Record<string, string> } = {},
  ) =>
    new Promise<Reply>((resolve, reject) => {
      const { method = 'GET', from = '127.0.0.2', headers = {} } = more;
      const options = { host: '127.0.0.1', port, path, method, headers, localAddress: from, agent: false };
      const request = httpRequest(options, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        });
      });
      request.on('error', reject);
      request.end();
    });

  const raw = (bytes: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' }, () =>
        socket.write(bytes),
      );
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.on('close', () => {
        resolve(text);
      });
      socket.on('error', reject);
    });

  beforeEach(async () => {
    Object.assign(seen, { denied: 0, allowed: 0, unknown: 0 });
    const nowMs = () => performance.now();
    const handler = new SignalHandler({
      table,
      counts: {
        onDecision: (_key, denied) => {
          seen[denied ? 'denied' : 'allowed'] += 1;
        },
        onUnknown: () => {
          seen.unknown += 1;
        },
      },
      onReport: () => false,
      bootId: 'boot',
      nowMs,
    });
    server = createSignalServer({
      handler,
      connections: new Connections(100, nowMs),
      callerOf: (id = '') => ({ id, key: table.keyOf(id) }),
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    port = (server.address() as AddressInfo).port;
    publish(0);
  });
  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  it('answers 200 at level 0 and mostly 429 at 0.95, on every method', async () => {
    expect(await call('/v1/shed')).toMatchObject({
      status: 200,
      body: '',
      headers: { 'x-scx-slo-state': 'ok' },
    });
    publish(0.95);
    const statuses = new Set<number>();
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH']) {
      for (let n = 0; n < 8; n += 1) statuses.add((await call('/v1/shed/x?y', { method })).status);
    }
    expect(seen.denied).toBeGreaterThan(35);
    expect([...statuses].every((status) => status === 429 || status === 200)).toBe(true);
    const denied = [];
    for (let n = 0; n < 8; n += 1) denied.push((await call('/v1/shed-403')).status);
    expect(denied).toContain(403);
  });

  it('lets unknown callers pass, whatever they claim', async () => {
    publish(0.95);
    const headers = { 'X-Forwarded-For': '127.0.0.2', Forwarded: 'for=127.0.0.2' };
    expect(await call('/v1/shed', { from: '127.0.0.3', headers })).toMatchObject({
      status: 200,
      headers: { 'x-scx-slo-state': 'unknown' },
    });
    const level = await call('/v1/level', { from: '127.0.0.3' });
    expect(JSON.parse(level.body)).toMatchObject({ shed: 0, state: 'unknown' });
    expect(seen.unknown).toBe(2);
  });

  it('serves the level with an ETag, and holds a long poll until it changes', async () => {
    publish(0.25);
    const first = await call('/v1/level');
    expect(JSON.parse(first.body)).toMatchObject({
      v: 1,
      shed: 0.25,
      state: 'shedding',
      ttl_ms: 1000,
      importance: 50,
    });
    const tag = { 'If-None-Match': String(first.headers.etag) };
    expect(await call('/v1/level', { headers: tag })).toMatchObject({ status: 304, body: '' });
    const waiting = call('/v1/level?wait=5000', { headers: tag });
    await new Promise((resolve) => setTimeout(resolve, 50));
    publish(0.2512);
    expect(table.waiting('pod/a')).toBe(1);
    publish(0.5);
    expect(JSON.parse((await waiting).body)).toMatchObject({ shed: 0.5 });
    const late = await call('/v1/level?wait=60', { headers: { 'If-None-Match': tagNow() } });
    expect(late.status).toBe(304);
    expect(table.waiting('pod/a')).toBe(0);
  });

  const tagNow = (): string => `"boot-${table.get('pod/a')?.seq ?? 0}"`;

  it('survives broken requests without a 5xx or a redirect', async () => {
    expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw(`GET /v1/shed HTTP/1.1\r\nHost: x\r\nCookie: ${'c'.repeat(60_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 200 /,
    );
    expect(await raw('CONNECT /v1/shed HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    const expecting =
      'POST /v1/shed HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
    expect(await raw(expecting)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await call('/nope')).toMatchObject({ status: 404 });
    expect(await call('/v1/shed')).toMatchObject({ status: 200 });
  });

  it('answers the constant 200 above the rate limit', async () => {
    publish(0.5);
    const replies: Reply[] = [];
    for (let n = 0; n < 150; n += 1) replies.push(await call('/v1/level'));
    const states = replies.map((reply) => JSON.parse(reply.body).state as string);
    expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([200]));
    expect(states[0]).toBe('shedding');
    expect(states.filter((state) => state === 'unknown').length).toBeGreaterThanOrEqual(1);
  });
});
