/** The sidecar as a process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { RealSignal } from '../../test/conformance/real-signal.ts';

const WAIT = { timeout: 15_000, interval: 20 };

describe('scx-slo sidecar', () => {
  const children: ChildProcess[] = [];
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const clean of cleanup.splice(0)) await clean();
  });

  const start = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const program = join(import.meta.dirname, 'main.ts');
    const child = spawn(process.execPath, [program, ...argv], { env: { ...env, NODE_NO_WARNINGS: '1' } });
    children.push(child);
    const said = { out: '', err: '' };
    child.stdout.on('data', (part: Buffer) => {
      said.out += part.toString();
    });
    child.stderr.on('data', (part: Buffer) => {
      said.err += part.toString();
    });
    return { child, said, exit: once(child, 'exit') as Promise<[number | null]> };
  };

  const anyPort = { SCX_SLO_LISTEN_ADDRESS: '127.0.0.1:0', SCX_SLO_HEALTH_ADDRESS: '127.0.0.1:0' };

  const statusOf = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port, path: '/x', agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      }).on('error', reject);
    });

  it('takes all from the environment, sheds by the real signal, and ends in order', async () => {
    const signal = new RealSignal();
    await signal.start();
    cleanup.push(() => signal.stop());
    const app = createServer((_request, response) => response.end('served')).listen(0, '127.0.0.1');
    await once(app, 'listening');
    cleanup.push(() => app.close());
    const { port: appPort } = app.address() as AddressInfo;
    const env = { ...anyPort, SCX_SLO_APP_PORT: String(appPort), SCX_SLO_ENDPOINT: signal.url };
    const { child, said, exit } = start([], env);
    await expect.poll(() => said.out, WAIT).toContain('"started"');
    const { port } = JSON.parse(said.out.split('\n')[0] ?? '') as { port: number };
    expect(await statusOf(port)).toBe(200);
    signal.set(0.95);
    await expect.poll(() => statusOf(port), WAIT).toBe(429);
    signal.set(0);
    await expect
      .poll(
        async () =>
          (await Promise.all(Array.from({ length: 50 }, () => statusOf(port)))).every((s) => s === 200),
        WAIT,
      )
      .toBe(true);
    child.kill('SIGTERM');
    expect((await exit)[0]).toBe(0);
    expect(said.out).toContain('"stopping"');
  });

  it('says what is wrong with its command line, or with its port', async () => {
    const bad = start(['--app-port', 'eighty'], anyPort);
    expect((await bad.exit)[0]).toBe(2);
    expect(bad.said.err).toContain('bad --app-port: "eighty" is not a number, 1 .. 65535');
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    cleanup.push(() => holder.close());
    const { port } = holder.address() as AddressInfo;
    const taken = start(['--app-port', '1', '--listen-address', `127.0.0.1:${port}`], anyPort);
    expect((await taken.exit)[0]).toBe(1);
    expect(taken.said.out).toContain('EADDRINUSE');
    const help = start(['--help']);
    expect((await help.exit)[0]).toBe(0);
    expect(help.said.out).toContain('--app-port VALUE');
  });
});
