/** The signal process and the agent's end of its socket, as two processes. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, podLevel, type SignalProcess, startSignal, until } from '../../test/signal-process.ts';
import type { PodLevel } from '../shed/feed.ts';
import { LevelPublisher } from './level-publisher.ts';
import type { SignalMessage } from './wire.ts';

const NOBODY = 65_534;

let root = '';
let levels = '';
let messages: SignalMessage[] = [];
let publisher: LevelPublisher | undefined;
let signal: SignalProcess | undefined;
let ticks: NodeJS.Timeout | undefined;
let said: PodLevel[] = [];

const port = (): number => signal?.port ?? 0;
const levelOf = async (from = '127.0.0.2') => JSON.parse((await call(port(), '/v1/level', { from })).body);

const speak = () => {
  ticks = setInterval(() => publisher?.publish(said, performance.now()), 50);
};

/** An agent that says `said` every 50 ms. */
const startAgent = async () => {
  publisher = new LevelPublisher(levels, (message) => messages.push(message));
  expect(await publisher.start()).toBeUndefined();
  speak();
};

const stopAgent = () => {
  clearInterval(ticks);
  publisher?.stop();
};

const start = async (flags: string[] = []) => {
  await startAgent();
  signal = await startSignal({ levels, flags });
  await until('levels', async () => (await levelOf()).state !== 'unknown');
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'scx-slo-signal-'));
  levels = join(root, 'levels.sock');
  messages = [];
  said = [podLevel('a', ['127.0.0.2'], 0.95), podLevel('b', ['127.0.0.3'], 0)];
});
afterEach(async () => {
  await signal?.stop();
  signal = undefined;
  stopAgent();
  rmSync(root, { recursive: true, force: true });
});

describe('the signal process', () => {
  it('answers each caller from what the agent says of it', async () => {
    await start();
    expect(statSync(levels).mode & 0o777).toBe(0o660);
    const statuses = new Set<number>();
    for (let n = 0; n < 30; n += 1) statuses.add((await call(port(), '/v1/shed/x?y')).status);
    expect(statuses).toContain(429);
    expect([...statuses].every((status) => status === 429 || status === 200)).toBe(true);
    expect(await call(port(), '/v1/shed', { from: '127.0.0.3' })).toMatchObject({
      status: 200,
      headers: { 'x-scx-slo-shed': '0.00', 'x-scx-slo-state': 'ok' },
    });
    said = [podLevel('b', ['127.0.0.2'], 0)];
    await until('the address is another pod’s', async () => (await levelOf()).shed === 0);
    await until('nobody has it', async () => (await levelOf('127.0.0.3')).state === 'unknown');
  });

  it('says to a pod what its level was decided from, and nothing of the node', async () => {
    await start();
    const { body } = await call(port(), '/v1/status');
    expect(JSON.parse(body)).toMatchObject({
      v: 1,
      shed: 0.95,
      computed_shed: 0.95,
      state: 'shedding',
      reason: 'severity 3.00 of a',
      budget_ms: 50,
      wait_p95_ms: 31.5,
      queue_wait_ms: null,
    });
    expect(body).not.toContain('0.987');
    const stranger = JSON.parse((await call(port(), '/v1/status', { from: '127.0.0.9' })).body);
    expect(stranger).toMatchObject({ state: 'unknown', budget_ms: null, reason: '' });
  });

  it('passes on what pods report of themselves, and counts', async () => {
    await start();
    const report = (body: string, from = '127.0.0.2') =>
      call(port(), '/v1/report', { method: 'POST', body, from });
    const good = await report('{"queue_p95_ms":12.5,"inflight":3,"accepted":9,"rejected":1}');
    expect([good.status, good.body]).toEqual([200, '{"v":1,"accepted":true}']);
    expect((await report('{"queue_p95_ms":1}', '127.0.0.9')).body).toBe('{"v":1,"accepted":false}');
    const replies = await Promise.all(Array.from({ length: 8 }, () => report('{"queue_p95_ms":1}')));
    expect(replies.filter(({ body }) => body.includes('false')).length).toBeGreaterThanOrEqual(1);
    await call(port(), '/v1/shed', { from: '127.0.0.3' });
    const find = <T extends SignalMessage['t']>(t: T) => messages.filter((message) => message.t === t);
    await until('counts', () => find('answers').length > 0);
    expect(find('report')[0]).toEqual({ t: 'report', podUid: 'a', queueWaitMs: 12.5 });
    const counted = messages.flatMap((message) => (message.t === 'answers' ? message.answers : []));
    expect(counted).toContainEqual({ key: 'pod/b', allowed: 1, denied: 0 });
  });

  it('streams the level at each change, with heartbeats in between', async () => {
    await start();
    let text = '';
    const request = httpRequest({
      host: '127.0.0.1',
      port: port(),
      path: '/v1/level/stream',
      localAddress: '127.0.0.2',
    });
    request.on('response', (response) => {
      expect(response.headers['content-type']).toBe('text/event-stream');
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
    });
    request.end();
    const events = (name: string) =>
      [...text.matchAll(new RegExp(`event: ${name}\\n(?:id: .*\\n)?data: (.*)\\n\\n`, 'g'))].map(([, data]) =>
        JSON.parse(data ?? ''),
      );
    await until('the level', () => events('level').length === 1);
    expect(events('level')[0]).toMatchObject({ v: 1, shed: 0.95, state: 'shedding', ttl_ms: 1000 });
    await until('heartbeats', () => events('heartbeat').length >= 2);
    expect(events('heartbeat').at(-1)).toMatchObject({ seq: events('level')[0].seq, ttl_ms: 1000 });
    expect(events('level')).toHaveLength(1);
    said = [podLevel('a', ['127.0.0.2'], 0.4)];
    await until('the change', () => events('level').length === 2);
    expect(events('level')[1]).toMatchObject({ shed: 0.4 });
    said = [];
    await until('the end of the pod', () => events('level').length === 3);
    expect(events('level')[2]).toMatchObject({ shed: 0, state: 'unknown' });
    said = [podLevel('new', ['127.0.0.2'], 0.2)];
    await until('the next pod with its address', () => events('level').length === 4);
    request.destroy();
  });

  it('answers a fifth stream once, and a long poll at the change', async () => {
    await start();
    const streams = Array.from({ length: 4 }, () =>
      httpRequest({ host: '127.0.0.1', port: port(), path: '/v1/level/stream', localAddress: '127.0.0.2' }),
    );
    let answered = 0;
    for (const stream of streams) {
      stream.on('response', () => {
        answered += 1;
      });
      stream.on('error', () => undefined);
      stream.end();
    }
    await until('four streams', () => answered === 4);
    const fifth = await call(port(), '/v1/level/stream');
    expect(fifth.body).toMatch(/^retry: 5000\n\nevent: level\nid: \S+\ndata: \{.*"shed":0\.95.*\}\n\n$/);
    for (const stream of streams) stream.destroy();
    const first = await call(port(), '/v1/level');
    const waiting = call(port(), '/v1/level?wait=9000', {
      headers: { 'If-None-Match': String(first.headers.etag) },
    });
    await sleep(100);
    said = [podLevel('a', ['127.0.0.2'], 0.1)];
    expect(JSON.parse((await waiting).body)).toMatchObject({ shed: 0.1 });
  });

  it('lets go when the agent hangs or dies, and listens to the next one at once', async () => {
    await start();
    // It hangs: connected, and silent.
    clearInterval(ticks);
    await until('stale', async () => (await levelOf()).state === 'stale');
    speak();
    await until('fresh', async () => (await levelOf()).state === 'shedding');
    stopAgent();
    await until('stale', async () => (await levelOf()).state === 'stale');
    expect(await levelOf()).toMatchObject({ shed: 0.95 });
    await until('less', async () => (await levelOf()).shed < 0.9, 5_000);
    await until('open', async () => (await levelOf()).shed === 0, 12_000);
    expect(await call(port(), '/v1/shed')).toMatchObject({
      status: 200,
      headers: { 'x-scx-slo-state': 'stale', 'x-scx-slo-shed': '0.00' },
    });
    expect((await call(signal?.healthPort ?? 0, '/readyz')).body).toContain('without the agent');
    const told = () => signal?.log.filter(({ msg }) => msg.startsWith('no levels')) ?? [];
    expect(new Set(told().map(({ msg }) => msg)).size).toBe(told().length);
    await startAgent();
    await until('its levels', async () => (await levelOf()).state === 'shedding', 2_000);
  }, 30_000);

  it('answers before there is an agent', async () => {
    signal = await startSignal({ levels });
    expect(await call(port(), '/v1/shed')).toMatchObject({
      status: 200,
      headers: { 'x-scx-slo-state': 'unknown' },
    });
    expect((await call(signal.healthPort, '/readyz')).status).toBe(200);
    await startAgent();
    await until('levels', async () => (await levelOf()).state === 'shedding');
    expect((await call(signal.healthPort, '/metrics')).body).toMatch(/^scx_slo_signal_agent_up 1$/m);
  });

  it('knows a pod by its own socket', async () => {
    const pods = join(root, 'pods');
    await start(['--pod-sockets', pods, '--cgroup-sockets', join(root, 'cgroups')]);
    publisher?.setCgroups([
      { path: '/kubepods/x', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    ]);
    said = [...said, { ...podLevel('', [], 0.5), key: 'path/kubepods/x' }];
    const ask = (socketPath: string) => call(0, '/v1/level', { socketPath }).catch(() => undefined);
    await until('sockets', async () => (await ask(join(root, 'cgroups/kubepods~x/shed.sock'))) !== undefined);
    expect(JSON.parse((await ask(join(pods, 'a/shed.sock')))?.body ?? '')).toMatchObject({ shed: 0.95 });
    expect(JSON.parse((await ask(join(pods, 'b/shed.sock')))?.body ?? '')).toMatchObject({ shed: 0 });
    const path = await ask(join(root, 'cgroups/kubepods~x/shed.sock'));
    await until('level', async () => path !== undefined);
    said = said.filter(({ key }) => key !== 'pod/a');
    await until('closed', async () => (await ask(join(pods, 'a/shed.sock'))) === undefined);
  });

  const canDrop = process.getuid?.() === 0;
  if (!canDrop) process.stderr.write('skipped: the signal process as nobody: not root\n');

  it.skipIf(!canDrop)('needs no user, no capability and no file but the socket', async () => {
    const run = join(root, 'run');
    chmodSync(root, 0o755);
    mkdirSync(run);
    // As Kubernetes makes an emptyDir under fsGroup.
    chownSync(run, 0, NOBODY);
    chmodSync(run, 0o2770);
    levels = join(run, 'levels.sock');
    await startAgent();
    const ids = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    const prefix = ['setpriv', ...ids, '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
    signal = await startSignal({ levels, prefix });
    await until('levels', async () => (await levelOf()).state === 'shedding');
    const status = readFileSync(`/proc/${signal.child.pid}/status`, 'latin1');
    expect(status).toMatch(/^CapBnd:\s+0+$/m);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^Uid:\s+65534/m);
    expect(statSync(levels)).toMatchObject({ uid: 0, gid: NOBODY });
  });

  it('says why it cannot run', async () => {
    signal = await startSignal({ levels });
    const second = startSignal({ levels, flags: ['--listen', `127.0.0.1:${signal.port}`] });
    await expect(second).rejects.toThrow('SLO_E_LISTEN');
    const third = startSignal({ levels, flags: ['--listen', 'nonsense'] });
    await expect(third).rejects.toThrow('SLO_E_OPTION');
  });
});
