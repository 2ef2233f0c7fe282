import { once } from 'node:events';
import {
  Agent,
  createServer,
  get,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConformanceServer } from '../../test/conformance/server.ts';
import type { SidecarOptions } from './options.ts';
import { Sidecar } from './sidecar.ts';

const WAIT = { timeout: 15_000, interval: 10 };

const bodyOf = async (message: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const part of message) text += String(part);
  return text;
};

describe('the sidecar', () => {
  const signal = new ConformanceServer();
  const cleanup: (() => unknown)[] = [];
  let app: Server;
  let onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  let arrived: IncomingMessage[];
  let port: number;
  let healthPort: number;
  let sidecar: Sidecar;

  const start = async (options: Partial<SidecarOptions> = {}): Promise<void> => {
    sidecar = new Sidecar({
      app: { host: '127.0.0.1', port: (app.address() as AddressInfo).port },
      listen: { host: '127.0.0.1', port: 0 },
      health: { host: '127.0.0.1', port: 0 },
      endpoint: signal.url,
      status: 429,
      exempt: ['/healthz'],
      dryRun: false,
      maxConnections: 1_024,
      ...options,
    });
    cleanup.push(() => sidecar.close());
    const started = await sidecar.start();
    if (started instanceof Error) throw started;
    ({ port, healthPort } = started);
  };

  const ask = (
    path: string,
    more: { method?: string; headers?: Record<string, string>; body?: string | Buffer; agent?: Agent } = {},
  ): Promise<{ status: number; message: IncomingMessage; body: string }> =>
    new Promise((resolve, reject) => {
      const { body, ...options } = more;
      const call = request({ host: '127.0.0.1', port, path, ...options }, (message) => {
        bodyOf(message).then(
          (text) => resolve({ status: message.statusCode ?? 0, message, body: text }),
          reject,
        );
      });
      call.on('error', reject).end(body);
    });

  const metric = async (name: string): Promise<number> => {
    const [message] = (await once(
      get({ host: '127.0.0.1', port: healthPort, path: '/metrics' }),
      'response',
    )) as [IncomingMessage];
    const line = (await bodyOf(message)).split('\n').find((each) => each.startsWith(name));
    return Number(line?.split(' ').at(-1));
  };

  const sheds = (): Promise<void> =>
    expect.poll(() => metric('scx_slo_client_level{source="agent"}'), WAIT).toBeGreaterThan(0);

  const raw = async (bytes: string): Promise<{ socket: Socket; text: () => string }> => {
    const socket = connect({ host: '127.0.0.1', port });
    cleanup.push(() => socket.destroy());
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(bytes);
    return { socket, text: () => text };
  };

  beforeEach(async () => {
    signal.set({ shed: 0, misbehaviour: undefined });
    await signal.start();
    arrived = [];
    onRequest = (_incoming, response) => response.end('served');
    app = createServer((incoming, response) => {
      arrived.push(incoming);
      incoming.on('error', () => undefined);
      onRequest(incoming, response);
    });
    await once(app.listen(0, '127.0.0.1'), 'listening');
    cleanup.push(() => {
      app.close();
      app.closeAllConnections();
    });
  });

  afterEach(async () => {
    for (const clean of cleanup.splice(0)) await clean();
    await signal.stop();
  });

  it('hands requests and answers on as they are', async () => {
    await start();
    onRequest = (incoming, response) => {
      void bodyOf(incoming).then((text) => {
        response.writeHead(207, 'Odd', ['X-Two', 'a', 'X-Two', 'b', 'Content-Type', 'text/plain']);
        response.end(`${incoming.method} ${incoming.url} ${text.length}`);
      });
    };
    const headers = {
      'X-Mine': '1',
      'X-Forwarded-For': '9.9.9.9',
      Connection: 'x-hop',
      'X-Hop': '1',
      Host: 'shop',
    };
    const { status, message, body } = await ask('/a//b/../%2e?x=%00&y', {
      method: 'PUT',
      headers,
      body: Buffer.alloc(3_000_000, 'x'),
    });
    expect([status, message.statusMessage, body]).toEqual([207, 'Odd', 'PUT /a//b/../%2e?x=%00&y 3000000']);
    expect(message.headers['x-two']).toBe('a, b');
    expect(arrived[0]?.headers).toMatchObject({
      host: 'shop',
      'x-mine': '1',
      'x-forwarded-for': '9.9.9.9, 127.0.0.1',
      'content-length': '3000000',
    });
    expect(arrived[0]?.headers['x-hop']).toBeUndefined();
  });

  it('rejects the share of the signal before the app sees anything, but not health checks', async () => {
    signal.set({ shed: 1 });
    await start({ status: 503 });
    await sheds();
    const replies = await Promise.all(
      Array.from({ length: 100 }, () => ask('/x', { method: 'POST', body: 'x' })),
    );
    const rejected = replies.filter(({ status }) => status === 503);
    expect(rejected.length).toBeGreaterThan(80);
    expect(arrived.length).toBe(100 - rejected.length);
    expect(Number(rejected[0]?.message.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    for (const path of ['/healthz', '/healthz/db?x', '/healthz']) expect((await ask(path)).status).toBe(200);
    expect(await metric('scx_slo_client_decisions_total{decision="shed",reason="agent"}')).toBe(
      rejected.length,
    );
  });

  it('serves everything without a signal and in a dry run', async () => {
    signal.set({ misbehaviour: 'hang' });
    await start();
    expect((await ask('/x')).body).toBe('served');
    signal.set({ misbehaviour: undefined, shed: 1 });
    await start({ dryRun: true });
    await sheds();
    const replies = await Promise.all(Array.from({ length: 40 }, () => ask('/x')));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await metric('scx_slo_client_decisions_total{decision="allow",reason="dry-run"}')).toBeGreaterThan(
      20,
    );
  });

  it('streams both ways: each part is there before the next is sent', async () => {
    await start();
    onRequest = (incoming, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', Trailer: 'X-End' });
      response.flushHeaders();
      incoming.on('data', (part: Buffer) => response.write(`echo ${part.toString()}`));
      incoming.on('end', () => {
        response.addTrailers({ 'X-End': 'yes' });
        response.end();
      });
    };
    const call = request({ host: '127.0.0.1', port, method: 'POST', path: '/' });
    call.flushHeaders();
    const [message] = (await once(call, 'response')) as [IncomingMessage];
    message.setEncoding('utf8');
    for (const part of ['one', 'two', 'three']) {
      call.write(part);
      const [echo] = await once(message, 'data');
      expect(echo).toBe(`echo ${part}`);
    }
    call.end();
    await once(message, 'end');
    expect(message.trailers).toEqual({ 'x-end': 'yes' });
  });

  it('keeps connections on both sides', async () => {
    await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanup.push(() => agent.destroy());
    for (let n = 0; n < 5; n += 1) expect((await ask('/', { agent })).status).toBe(200);
    expect(new Set(arrived.map(({ socket }) => socket.remotePort)).size).toBe(1);
  });

  it('a connection that the app just closed costs no error', async () => {
    await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanup.push(() => agent.destroy());
    await ask('/', { agent });
    // Resets the connection when the next request comes on it, as an app does whose idle time has just ended.
    let resets = 0;
    onRequest = (incoming, response) => {
      if (incoming.socket === arrived[0]?.socket) {
        resets += 1;
        incoming.socket.resetAndDestroy();
      } else response.end('served');
    };
    expect((await ask('/', { agent })).body).toBe('served');
    expect(resets).toBe(1);
    expect(await metric('scx_slo_sidecar_app_errors_total')).toBe(0);
  });

  it('says 502 where the app is not there, and cuts off what it cuts off', async () => {
    await start();
    onRequest = (_incoming, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 20);
    };
    await expect(ask('/')).rejects.toThrow();
    app.close();
    app.closeAllConnections();
    expect((await ask('/', { method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(502);
    expect(await metric('scx_slo_sidecar_app_errors_total')).toBe(1);
  });

  it('tells the app when the caller goes away', async () => {
    await start();
    let gone = false;
    onRequest = (_incoming, response) => {
      response.on('close', () => {
        gone = !response.writableFinished;
      });
    };
    const call = request({ host: '127.0.0.1', port }).on('error', () => undefined);
    call.end();
    await expect.poll(() => arrived.length, WAIT).toBe(1);
    call.destroy();
    await expect.poll(() => gone, WAIT).toBe(true);
  });

  it('lets the app ask for a body, or refuse it', async () => {
    await start();
    app.on('checkContinue', (incoming: IncomingMessage, response: ServerResponse) => {
      if (incoming.url === '/no') response.writeHead(413).end();
      else {
        response.writeContinue();
        incoming.resume().on('end', () => response.end('thanks'));
      }
    });
    const upload = (path: string): Promise<[boolean, number]> =>
      new Promise((resolve, reject) => {
        let continued = false;
        const headers = { Expect: '100-continue', 'Content-Length': '4' };
        const call = request({ host: '127.0.0.1', port, path, method: 'POST', headers });
        call.on('continue', () => {
          continued = true;
          call.end('body');
        });
        call.on('response', (message) => {
          message.resume();
          resolve([continued, message.statusCode ?? 0]);
          call.destroy();
        });
        call.on('error', reject).flushHeaders();
      });
    expect(await upload('/yes')).toEqual([true, 200]);
    expect(await upload('/no')).toEqual([false, 413]);
  });

  it('upgrades, in both directions, with what was sent early, and lets the app refuse', async () => {
    await start();
    app.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => undefined);
      if (incoming.url === '/no') {
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nX-Why: not you\r\n\r\nno\n');
        return;
      }
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${incoming.headers.upgrade}\r\nConnection: Upgrade\r\n\r\n`,
      );
      socket.write(`hello ${head.toString()}`);
      socket.pipe(socket);
    });
    const ask101 = (path: string): string =>
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n`;
    const tunnel = await raw(`${ask101('/ws')}early`);
    await expect.poll(tunnel.text, WAIT).toContain('early');
    expect(tunnel.text()).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    tunnel.socket.write(' and late');
    await expect.poll(tunnel.text, WAIT).toContain('and late');
    expect(await metric('scx_slo_sidecar_tunnels')).toBe(1);
    tunnel.socket.destroy();
    await expect.poll(() => metric('scx_slo_sidecar_tunnels'), WAIT).toBe(0);
    const refused = await raw(ask101('/no'));
    await once(refused.socket, 'close');
    expect(refused.text()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*X-Why: not you\r\n[\s\S]*no\n$/);
  });

  it('sheds upgrades, too', async () => {
    signal.set({ shed: 1 });
    await start();
    await sheds();
    const answers: string[] = [];
    for (let n = 0; n < 20; n += 1) {
      const { socket, text } = await raw(
        'GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      );
      await once(socket, 'close');
      answers.push(text());
    }
    const rejected = answers.filter((text) => text.startsWith('HTTP/1.1 429 Too Many Requests\r\n'));
    expect(rejected.length).toBeGreaterThan(12);
    expect(rejected[0]).toMatch(/Retry-After: [1-9]/);
  });

  it.each([
    ['nonsense', 'nonsense\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a method that is none', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', /^HTTP\/1\.1 405 /],
    [
      'headers without end',
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
  ])('answers %s itself', async (_what, bytes, answer) => {
    await start();
    const { socket, text } = await raw(bytes);
    await once(socket, 'close');
    expect(text()).toMatch(answer);
    expect(arrived).toEqual([]);
    expect((await ask('/')).status).toBe(200);
  });

  it('HTTP/1.0 and a request without a length for its body', async () => {
    await start();
    const { socket, text } = await raw('POST / HTTP/1.0\r\n\r\n');
    await once(socket, 'close');
    expect(text()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*served$/);
    expect(arrived[0]?.headers['content-length']).toBe('0');
  });

  it('closes connections above its limit', async () => {
    await start({ maxConnections: 2 });
    const held = [await raw(''), await raw('')];
    const third = await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(third.socket, 'close');
    expect(third.text()).toBe('');
    held[0]?.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(held[0]?.text ?? String, WAIT).toContain('served');
  });

  it('drains: ends what is under way, takes nothing new, says so', async () => {
    await start();
    let answer: ServerResponse | undefined;
    onRequest = (_incoming, response) => {
      answer = response;
    };
    const slow = ask('/slow');
    await expect.poll(() => answer, WAIT).toBeDefined();
    const drained = sidecar.drain();
    const [ready] = (await once(
      get({ host: '127.0.0.1', port: healthPort, path: '/readyz' }),
      'response',
    )) as [IncomingMessage];
    expect(ready.statusCode).toBe(503);
    await expect(ask('/new')).rejects.toThrow(/ECONNREFUSED/);
    answer?.end('done');
    expect((await slow).body).toBe('done');
    await drained;
  });
});
