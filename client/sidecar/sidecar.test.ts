import { once } from 'node:events';
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bodyOf, SidecarRig, WAIT } from './sidecar-rig.ts';

describe('the sidecar', () => {
  const rig = new SidecarRig();
  beforeEach(() => rig.setUp());
  afterEach(() => rig.tearDown());

  it('hands requests and answers on as they are', async () => {
    await rig.start();
    rig.onRequest = (incoming, response) => {
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
    const { status, message, body } = await rig.ask('/a//b/../%2e?x=%00&y', {
      method: 'PUT',
      headers,
      body: Buffer.alloc(3_000_000, 'x'),
    });
    expect([status, message.statusMessage, body]).toEqual([207, 'Odd', 'PUT /a//b/../%2e?x=%00&y 3000000']);
    expect(message.headers['x-two']).toBe('a, b');
    expect(rig.arrived[0]?.headers).toMatchObject({
      host: 'shop',
      'x-mine': '1',
      'x-forwarded-for': '9.9.9.9, 127.0.0.1',
      'content-length': '3000000',
    });
    expect(rig.arrived[0]?.headers['x-hop']).toBeUndefined();
  });

  it('rejects the share of the signal before the app sees anything, but not health checks', async () => {
    rig.signal.set({ shed: 1 });
    await rig.start({ status: 503 });
    await rig.sheds();
    const replies = await Promise.all(
      Array.from({ length: 100 }, () => rig.ask('/x', { method: 'POST', body: 'x' })),
    );
    const rejected = replies.filter(({ status }) => status === 503);
    expect(rejected.length).toBeGreaterThan(80);
    expect(rig.arrived.length).toBe(100 - rejected.length);
    expect(Number(rejected[0]?.message.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    for (const path of ['/healthz', '/healthz/db?x', '/healthz'])
      expect((await rig.ask(path)).status).toBe(200);
    expect(await rig.metric('scx_slo_client_decisions_total{decision="shed",reason="agent"}')).toBe(
      rejected.length,
    );
  });

  it('serves everything without a signal and in a dry run', async () => {
    rig.signal.set({ misbehaviour: 'hang' });
    await rig.start();
    expect((await rig.ask('/x')).body).toBe('served');
    rig.signal.set({ misbehaviour: undefined, shed: 1 });
    await rig.start({ dryRun: true });
    await rig.sheds();
    const replies = await Promise.all(Array.from({ length: 40 }, () => rig.ask('/x')));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(
      await rig.metric('scx_slo_client_decisions_total{decision="allow",reason="dry-run"}'),
    ).toBeGreaterThan(20);
  });

  it('streams both ways: each part is there before the next is sent', async () => {
    await rig.start();
    rig.onRequest = (incoming, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', Trailer: 'X-End' });
      response.flushHeaders();
      incoming.on('data', (part: Buffer) => response.write(`echo ${part.toString()}`));
      incoming.on('end', () => {
        response.addTrailers({ 'X-End': 'yes' });
        response.end();
      });
    };
    const call = request({ host: '127.0.0.1', port: rig.port, method: 'POST', path: '/' });
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
    await rig.start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    rig.cleanup.push(() => agent.destroy());
    for (let n = 0; n < 5; n += 1) expect((await rig.ask('/', { agent })).status).toBe(200);
    expect(new Set(rig.arrived.map(({ socket }) => socket.remotePort)).size).toBe(1);
  });

  it('a connection that the app just closed costs no error', async () => {
    await rig.start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    rig.cleanup.push(() => agent.destroy());
    await rig.ask('/', { agent });
    // Resets the connection when the next request comes on it, as an app does whose idle time has just ended.
    let resets = 0;
    rig.onRequest = (incoming, response) => {
      if (incoming.socket === rig.arrived[0]?.socket) {
        resets += 1;
        incoming.socket.resetAndDestroy();
      } else response.end('served');
    };
    expect((await rig.ask('/', { agent })).body).toBe('served');
    expect(resets).toBe(1);
    expect(await rig.metric('scx_slo_sidecar_app_errors_total')).toBe(0);
  });

  it('says 502 where the app is not there, and cuts off what it cuts off', async () => {
    await rig.start();
    rig.onRequest = (_incoming, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('half');
      setTimeout(() => response.destroy(), 20);
    };
    await expect(rig.ask('/')).rejects.toThrow();
    rig.app.close();
    rig.app.closeAllConnections();
    expect((await rig.ask('/', { method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(502);
    expect(await rig.metric('scx_slo_sidecar_app_errors_total')).toBe(1);
  });

  it('tells the app when the caller goes away', async () => {
    await rig.start();
    let gone = false;
    rig.onRequest = (_incoming, response) => {
      response.on('close', () => {
        gone = !response.writableFinished;
      });
    };
    const call = request({ host: '127.0.0.1', port: rig.port }).on('error', () => undefined);
    call.end();
    await expect.poll(() => rig.arrived.length, WAIT).toBe(1);
    call.destroy();
    await expect.poll(() => gone, WAIT).toBe(true);
  });

  it('lets the app ask for a body, or refuse it', async () => {
    await rig.start();
    rig.app.on('checkContinue', (incoming: IncomingMessage, response: ServerResponse) => {
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
        const call = request({ host: '127.0.0.1', port: rig.port, path, method: 'POST', headers });
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

  it('drains: ends what is under way, takes nothing new, says so', async () => {
    await rig.start();
    let answer: ServerResponse | undefined;
    rig.onRequest = (_incoming, response) => {
      answer = response;
    };
    const slow = rig.ask('/slow');
    await expect.poll(() => answer, WAIT).toBeDefined();
    const drained = rig.sidecar.drain();
    expect((await rig.page('/readyz')).status).toBe(503);
    await expect(rig.ask('/new')).rejects.toThrow(/ECONNREFUSED/);
    answer?.end('done');
    expect((await slow).body).toBe('done');
    await drained;
  });
});
