import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import fastify, { type FastifyRequest } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConformanceServer } from '../test/conformance/server.ts';
import { createShedder, type Shedder, type ShedderOptions, scxSloFastify } from './index.ts';

const WAIT = { timeout: 15_000, interval: 10 };

interface Reply {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

const send = (port: number, path: string, method = 'GET', body = ''): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, method }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
    });
    call.on('error', reject);
    call.end(body);
  });

const statuses = async (port: number, path: string, count = 40): Promise<number[]> => {
  const replies = await Promise.all(Array.from({ length: count }, () => send(port, path)));
  return replies.map(({ status }) => status);
};

const share = (of: readonly number[], status: number): number =>
  of.filter((each) => each === status).length / of.length;

describe('middleware', () => {
  const signal = new ConformanceServer();
  const cleanup: (() => unknown)[] = [];

  const shedderAt = async (shed: number, options: ShedderOptions = {}): Promise<Shedder> => {
    signal.set({ shed });
    // Nothing of these tests is about time, and machines are busy.
    const made = createShedder({ endpoint: signal.url, ttlMs: 10_000, ...options });
    cleanup.push(() => made.close());
    if (options.mode !== 'per-request') await expect.poll(() => made.level, WAIT).toBe(Math.min(0.95, shed));
    return made;
  };

  const listen = async (server: Server): Promise<number> => {
    cleanup.push(() => {
      server.close();
      server.closeAllConnections();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return (server.address() as AddressInfo).port;
  };

  beforeEach(async () => {
    signal.set({ misbehaviour: undefined });
    await signal.start();
  });
  afterEach(async () => {
    for (const clean of cleanup.splice(0)) await clean();
    await signal.stop();
  });

  it('node:http: rejects with 429 and Retry-After, never health checks, and uses the connection again', async () => {
    const shed = await shedderAt(1);
    const listener = shed.http((incoming, response) => {
      incoming.resume().on('end', () => response.end('served'));
    });
    const port = await listen(createServer(listener));
    expect(share(await statuses(port, '/x', 200), 429)).toBeGreaterThan(0.75);
    const rejected = await firstOf(429, () => send(port, '/x?next=/healthz', 'POST', 'x'.repeat(200_000)));
    expect(rejected.body).toBe('');
    expect(Number(rejected.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(rejected.headers).toMatchObject({ 'x-envoy-ratelimited': '1', 'cache-control': 'no-store' });
    expect(rejected.headers.connection).toBe('keep-alive');
    expect(Object.keys(rejected.headers).filter((name) => name.includes('scx'))).toEqual([]);
    for (const path of ['/healthz', '/readyz/db', '/metrics?x', '/livez']) {
      expect(share(await statuses(port, path), 200)).toBe(1);
    }
    expect(share(await statuses(port, '/healthzz', 200), 429)).toBeGreaterThan(0.75);
  });

  it('express: sheds the least important first, with the whole path below a router, status 503 where asked', async () => {
    const shed = await shedderAt(0.5);
    const seen: (string | undefined)[] = [];
    const app = express();
    const api = express.Router();
    api.use(
      shed.express({
        status: 503,
        exempt: [/^\/api\/ping$/g],
        priority: (incoming) => (incoming.url?.startsWith('/pay') ? 1 : 0),
        onShed: (incoming) => {
          seen.push(incoming.url);
          throw new Error('of a hook');
        },
      }),
    );
    api.get('/{*any}', (_request, response) => {
      response.send('served');
    });
    app.use('/api', api);
    const port = await listen(createServer(app));
    // Both kinds in turn, so that each is half of the traffic.
    const both = await Promise.all(
      Array.from({ length: 300 }, (_, n) => send(port, n % 2 === 0 ? '/api/pay' : '/api/browse')),
    );
    const late = both.slice(100).map(({ status }) => status);
    expect(
      share(
        late.filter((_, n) => n % 2 === 0),
        200,
      ),
    ).toBeGreaterThan(0.9);
    expect(
      share(
        late.filter((_, n) => n % 2 === 1),
        503,
      ),
    ).toBeGreaterThan(0.9);
    expect(seen.length).toBeGreaterThan(90);
    expect(share(await statuses(port, '/api/ping'), 200)).toBe(1);
    expect(shed.metrics().inflight).toBe(0);
  });

  it('express: an error of the app stays the error of the app', async () => {
    const shed = await shedderAt(0);
    const app = express();
    app.use(
      shed.express({
        priority: () => {
          throw new Error('of a callback');
        },
      }),
    );
    app.get('/', () => {
      throw new Error('of the app');
    });
    app.use(((_error, _request, response, _next) => {
      response.status(500).send('handled');
    }) as express.ErrorRequestHandler);
    const port = await listen(createServer(app));
    expect(await send(port, '/')).toMatchObject({ status: 500, body: 'handled' });
  });

  it('fastify: decides before the body is read; routes may be exempt', async () => {
    const shedder = await shedderAt(1);
    const app = fastify();
    await app.register(scxSloFastify, { shedder });
    let parsed = 0;
    app.addHook('preHandler', (_request, _reply, done) => {
      parsed += 1;
      done();
    });
    app.post('/orders', () => 'served');
    app.get('/exempt', { config: { shed: { exempt: true } } as object }, () => 'served');
    app.get('/healthz', () => 'served');
    await app.listen({ port: 0, host: '127.0.0.1' });
    cleanup.push(() => app.close());
    const port = (app.server.address() as AddressInfo).port;
    const rejected = await firstOf(429, () => send(port, '/orders', 'POST'));
    expect(Number(rejected.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(rejected.body).toBe('');
    parsed = 0;
    expect(share(await statuses(port, '/exempt'), 200)).toBe(1);
    expect(share(await statuses(port, '/healthz'), 200)).toBe(1);
    expect(parsed).toBe(80);
    const decorated = app as unknown as { isShedding(): boolean; shedLevel(): number };
    expect([decorated.isShedding(), decorated.shedLevel()]).toEqual([true, 0.95]);
  });

  it('fastify: makes and closes a shedder of its own, and leaves the answer to a handler', async () => {
    signal.set({ shed: 1 });
    const app = fastify();
    await app.register(scxSloFastify, {
      endpoint: signal.url,
      mode: 'per-request',
      timeoutMs: 5_000,
      pressureHandler: (request, reply) => {
        // A handler that answers nothing lets the request pass.
        if (!request.url.startsWith('/cheap')) return;
        reply.code(200);
        reply.send('cheaper');
      },
    });
    app.get('/*', (_request: FastifyRequest) => 'served');
    await app.listen({ port: 0, host: '127.0.0.1' });
    const port = (app.server.address() as AddressInfo).port;
    expect((await send(port, '/cheap')).body).toBe('cheaper');
    expect((await send(port, '/whole')).body).toBe('served');
    await app.close();
  });

  it('per request: waits for the signal, and serves at once when it hangs', async () => {
    const shed = await shedderAt(1, { mode: 'per-request', timeoutMs: 5_000 });
    const port = await listen(createServer(shed.http((_request, response) => response.end('served'))));
    expect(share(await statuses(port, '/', 10), 429)).toBe(1);
    const hasty = await shedderAt(1, { mode: 'per-request', timeoutMs: 20 });
    const other = await listen(createServer(hasty.http((_request, response) => response.end('served'))));
    signal.set({ misbehaviour: 'hang' });
    expect(share(await statuses(other, '/', 10), 200)).toBe(1);
  });
});

const firstOf = async (status: number, act: () => Promise<Reply>): Promise<Reply> => {
  for (let n = 0; n < 500; n += 1) {
    const reply = await act();
    if (reply.status === status) return reply;
  }
  throw new Error(`no ${status} in 500 tries`);
};
