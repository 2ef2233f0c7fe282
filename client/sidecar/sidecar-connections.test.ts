import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SidecarRig, WAIT } from './sidecar-rig.ts';

describe('connections to the sidecar', () => {
  const rig = new SidecarRig();
  beforeEach(() => rig.setUp());
  afterEach(() => rig.tearDown());

  it('upgrades, in both directions, with what was sent early, and lets the app refuse', async () => {
    await rig.start();
    rig.app.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
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
    const tunnel = await rig.raw(`${ask101('/ws')}early`);
    await expect.poll(tunnel.text, WAIT).toContain('early');
    expect(tunnel.text()).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    tunnel.socket.write(' and late');
    await expect.poll(tunnel.text, WAIT).toContain('and late');
    expect(await rig.metric('scx_slo_sidecar_tunnels')).toBe(1);
    tunnel.socket.destroy();
    await expect.poll(() => rig.metric('scx_slo_sidecar_tunnels'), WAIT).toBe(0);
    const refused = await rig.raw(ask101('/no'));
    await once(refused.socket, 'close');
    expect(refused.text()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*X-Why: not you\r\n[\s\S]*no\n$/);
  });

  it('sheds upgrades, too', async () => {
    rig.signal.set({ shed: 1 });
    await rig.start();
    await rig.sheds();
    const answers: string[] = [];
    for (let n = 0; n < 20; n += 1) {
      const { socket, text } = await rig.raw(
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
    await rig.start();
    const { socket, text } = await rig.raw(bytes);
    await once(socket, 'close');
    expect(text()).toMatch(answer);
    expect(rig.arrived).toEqual([]);
    expect((await rig.ask('/')).status).toBe(200);
  });

  it('HTTP/1.0 and a request without a length for its body', async () => {
    await rig.start();
    const { socket, text } = await rig.raw('POST / HTTP/1.0\r\n\r\n');
    await once(socket, 'close');
    expect(text()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*served$/);
    expect(rig.arrived[0]?.headers['content-length']).toBe('0');
  });

  it('closes connections above its limit', async () => {
    await rig.start({ maxConnections: 2 });
    const held = [await rig.raw(''), await rig.raw('')];
    const third = await rig.raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(third.socket, 'close');
    expect(third.text()).toBe('');
    held[0]?.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(held[0]?.text ?? String, WAIT).toContain('served');
  });
});
