/** What hostile and broken callers send to the real process: an answer of the contract or a closed door, and no harm. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  exchange,
  open,
  podLevel,
  type SignalProcess,
  startSignal,
  until,
} from '../../test/signal-process.ts';
import type { PodLevel } from '../shed/feed.ts';
import { LevelPublisher } from './level-publisher.ts';
import type { SignalMessage } from './wire.ts';

/** Bad callers ask from here, the good one from its own address. */
const BAD = '127.0.0.2';
const GOOD = '127.0.0.3';
/** What the process may grow by, whatever is done to it. */
const MAX_GROWTH_MIB = 150;
const ALLOWED = new Set([200, 304, 400, 403, 404, 405, 413, 429]);

const root = mkdtempSync(join(tmpdir(), 'scx-slo-bad-'));
const messages: SignalMessage[] = [];
const publisher = new LevelPublisher(join(root, 'levels.sock'), (message) => messages.push(message));
const sockets: Socket[] = [];
let said: PodLevel[] = [podLevel('bad', [BAD], 0.5), podLevel('good', [GOOD], 0)];
let ticks: NodeJS.Timeout | undefined;
let signal: SignalProcess;
let port = 0;
let idleMiB = 0;

const statusesOf = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 ([0-9]{3}) /g)].map(([, status]) => Number(status));

/** The good caller is served, from a process that did not grow. */
const expectNoHarm = async (): Promise<void> => {
  const answers = await Promise.all([
    call(port, '/v1/shed', { from: GOOD }),
    call(port, '/v1/level', { from: GOOD }),
  ]);
  expect(answers[0]).toMatchObject({ status: 200, headers: { 'x-scx-slo-state': 'ok' } });
  expect(JSON.parse(answers[1]?.body ?? '')).toMatchObject({ state: 'ok' });
  expect(signal.child.exitCode).toBeNull();
  expect(signal.rssMiB() - idleMiB).toBeLessThan(MAX_GROWTH_MIB);
};

const keep = async (from: string): Promise<Socket> => {
  const socket = await open(port, from);
  sockets.push(socket);
  return socket;
};

beforeAll(async () => {
  expect(await publisher.start()).toBeUndefined();
  ticks = setInterval(() => publisher.publish(said, performance.now()), 20);
  signal = await startSignal({
    levels: join(root, 'levels.sock'),
    flags: ['--pod-sockets', join(root, 'pods')],
  });
  ({ port } = signal);
  await until('levels', async () => (await call(port, '/v1/level', { from: GOOD })).body.includes('ok'));
  idleMiB = signal.rssMiB();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await expectNoHarm();
});
afterAll(async () => {
  clearInterval(ticks);
  await signal.stop();
  publisher.stop();
  rmSync(root, { recursive: true, force: true });
});

const CLOSE = 'Connection: close\r\n\r\n';

describe('requests that are wrong', () => {
  it.each([
    ['a method that HTTP has not', `FOO /v1/shed HTTP/1.1\r\n${CLOSE}`, [200, 429]],
    ['no Host', `GET /v1/shed HTTP/1.1\r\n${CLOSE}`, [200, 429]],
    ['HTTP/1.0', 'GET /v1/shed HTTP/1.0\r\n\r\n', [200, 429]],
    ['absolute form', `GET http://x:1/v1/shed/a HTTP/1.1\r\nHost: x\r\n${CLOSE}`, [200, 429]],
    ['absolute form of something else', `GET http://x/ HTTP/1.1\r\nHost: x\r\n${CLOSE}`, [404]],
    ['CONNECT to a host', 'CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n', [404]],
    ['CONNECT as a proxy copies it', 'CONNECT /v1/shed-403/x HTTP/1.1\r\nHost: x\r\n\r\n', [200, 403]],
    [
      'an upgrade',
      `GET /v1/shed HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n`,
      [200, 429],
    ],
    ['an expectation', `GET /v1/shed HTTP/1.1\r\nExpect: tea\r\n${CLOSE}`, [200, 429]],
    ['a control character in a header', `GET /v1/shed HTTP/1.1\r\nX: a\x01b\r\n${CLOSE}`, [200, 429]],
    ['a header without a colon', `GET /v1/shed-403 HTTP/1.1\r\nnonsense\r\n${CLOSE}`, [200, 403]],
    [
      'two lengths',
      `POST /v1/shed HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n${CLOSE}`,
      [200, 429],
    ],
    [
      'a length and chunks',
      `POST /v1/shed HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n${CLOSE}`,
      [200, 429],
    ],
    ['a negative length', `POST /v1/shed HTTP/1.1\r\nContent-Length: -1\r\n${CLOSE}`, [200, 429]],
    ['100 KB of header', `GET /v1/shed HTTP/1.1\r\nCookie: ${'c'.repeat(100_000)}\r\n${CLOSE}`, [200, 429]],
    ['100 KB of path', `GET /v1/shed/${'p'.repeat(100_000)} HTTP/1.1\r\n${CLOSE}`, [200, 429]],
    ['36 KB of cookies', `GET /v1/shed HTTP/1.1\r\nCookie: ${'c'.repeat(36_000)}\r\n${CLOSE}`, [200, 429]],
    ['dots in the path', `GET /v1/level/../shed HTTP/1.1\r\n${CLOSE}`, [404]],
    ['an asterisk', `OPTIONS * HTTP/1.1\r\n${CLOSE}`, [404]],
    ['TRACE of a level', `TRACE /v1/level HTTP/1.1\r\n${CLOSE}`, [405]],
    ['DELETE of a status', `DELETE /v1/status HTTP/1.1\r\n${CLOSE}`, [405]],
    ['PUT of a stream', `PUT /v1/level/stream HTTP/1.1\r\n${CLOSE}`, [405]],
    ['GET of a report', `GET /v1/report HTTP/1.1\r\n${CLOSE}`, [405]],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
    ['TLS', Buffer.from('16030100a5010000a10303', 'hex'), [400]],
    ['nothing but line ends, then nonsense', '\r\n\r\n\r\nhello\r\n\r\n', [400]],
  ])('%s', async (_name, bytes, allowed) => {
    const text = await exchange(port, bytes, BAD);
    const statuses = statusesOf(text);
    expect(statuses).toHaveLength(1);
    expect(allowed).toContain(statuses[0]);
    expect(text).not.toMatch(/^location:/im);
    if (statuses[0] === 429 || statuses[0] === 403) expect(text).not.toMatch(/scx|bad|severity/i);
  });

  it('of any bytes', async () => {
    const words = fc.constantFrom(
      'GET ',
      'POST ',
      '/v1/shed',
      '/v1/level',
      ' HTTP/1.1\r\n',
      'Host: x\r\n',
      'Content-Length: 5\r\n',
      'Transfer-Encoding: chunked\r\n',
      '\r\n',
      '\0',
      '?wait=1',
      '%',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(words, fc.string({ maxLength: 8 })), { maxLength: 12 }),
        async (parts) => {
          const socket = await open(port, BAD);
          let text = '';
          socket.on('data', (chunk: Buffer) => {
            text += chunk.toString('latin1');
          });
          const closed = new Promise((resolve) => socket.once('close', resolve));
          socket.end(parts.join(''));
          await closed;
          expect(statusesOf(text).every((status) => ALLOWED.has(status))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('bodies', () => {
  it('of decisions are thrown away, and the connection goes on', async () => {
    const socket = await keep(BAD);
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.write(`POST /v1/shed HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n${'b'.repeat(2_000)}`);
    await until('an answer', () => statusesOf(text).length === 1);
    socket.write('GET /v1/shed HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('another', () => statusesOf(text).length === 2);
  });

  it('that never end are cut off after the answer', async () => {
    const socket = await keep(BAD);
    let text = '';
    let closed = false;
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('close', () => {
      closed = true;
    });
    socket.write('POST /v1/shed HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n');
    const piece = Buffer.alloc(16_384, 'b');
    await until('an answer', () => statusesOf(text).length === 1);
    for (let n = 0; n < 100 && !closed; n += 1) {
      socket.write(piece);
      await sleep(5);
    }
    await until('closed', () => closed);
    expect(statusesOf(text)).toHaveLength(1);
  });

  it('that stop in the middle are given up, without a second answer', async () => {
    const text = await exchange(
      port,
      'POST /v1/shed HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc',
      BAD,
    );
    expect(statusesOf(text)).toHaveLength(1);
    const chunks = 'POST /v1/shed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(statusesOf(await exchange(port, `${chunks}zz\r\n`, BAD))).toHaveLength(1);
  });
});

describe('reports', () => {
  const reported = () => messages.filter(({ t }) => t === 'report').length;

  it.each([
    'NaN',
    '{"queue_p95_ms":NaN}',
    '{"queue_p95_ms":-1}',
    '{"queue_p95_ms":1e308}',
    '{"queue_p95_ms":1e999}',
    '{"queue_p95_ms":{"$gt":0}}',
    '{"__proto__":{"queue_p95_ms":5}}',
    '',
    '\xff\xfe',
    '[[[[',
  ])('%j is refused', async (body) => {
    const reply = await call(port, '/v1/report', { method: 'POST', from: BAD, body });
    expect([reply.status, JSON.parse(reply.body).title]).toEqual([400, 'Bad Request']);
    expect(reported()).toBe(0);
  });

  it('that are too long are refused before their end', async () => {
    const head = 'POST /v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n';
    expect(statusesOf(await exchange(port, head + 'x'.repeat(5_000), BAD))).toEqual([413]);
    expect(reported()).toBe(0);
  });
});

describe('floods', () => {
  it('of pipelined requests: some are answered in order, too many end the connection', async () => {
    const one = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const few = Array.from({ length: 20 }, (_, n) => one(n % 2 === 0 ? '/nope' : '/v1/shed-403')).join('');
    const statuses = statusesOf(await exchange(port, `${few}GET /nope HTTP/1.1\r\n${CLOSE}`, BAD));
    expect(statuses).toHaveLength(21);
    expect(statuses.filter((_, n) => n % 2 === 0).every((status) => status === 404)).toBe(true);
    const many = statusesOf(await exchange(port, one('/v1/shed').repeat(20_000), BAD));
    expect(many.length).toBeLessThan(20_000);
  });

  it('of decisions: no more than its share is decided, whatever a caller asks', async () => {
    const BATCH = 16;
    const startMs = performance.now();
    const counts = { ok: 0, unknown: 0 };
    let isShut = false;
    const ask = async (): Promise<void> => {
      const socket = await keep(BAD);
      socket.on('close', () => {
        isShut = true;
      });
      let answers = 0;
      socket.on('data', (chunk: Buffer) => {
        const text = chunk.toString('latin1');
        const news = statusesOf(text).length;
        const unknown = text.split('State: unknown').length - 1;
        counts.unknown += unknown;
        counts.ok += news - unknown;
        answers += news;
        if (answers % BATCH === 0 && news > 0) socket.write(request);
      });
      const request = 'GET /v1/shed HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(BATCH);
      socket.write(request);
    };
    await Promise.all(Array.from({ length: 16 }, ask));
    await until('shut out, or much answered', () => isShut || counts.ok + counts.unknown > 30_000, 15_000);
    const seconds = Math.floor((performance.now() - startMs) / 1_000) + 2;
    expect(counts.ok).toBeGreaterThan(0);
    expect(counts.ok).toBeLessThanOrEqual(5_000 * seconds);
    await expectNoHarm();
    await sleep(1_100);
    expect((await call(port, '/v1/shed', { from: BAD })).status).toBeLessThan(500);
  });

  it('of 10,000 idle connections, from one address and from many', async () => {
    const limit = /^Max open files +([0-9]+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    const wanted = 10_000;
    const possible = Math.min(wanted, Number(limit) - 1_000);
    if (possible < wanted)
      process.stderr.write(`only ${possible} connections: this process may open ${limit} files\n`);
    for (let n = 0; n < possible; n += 1) {
      const from = n < possible / 2 ? BAD : `127.0.1.${1 + (n % 200)}`;
      const socket = await keep(from);
      if (n % 3 === 0) socket.write('GET /v1/shed HTTP/1.1\r\nHost: x\r\n\r\n');
      if (n % 1_000 === 999) await expectNoHarm();
    }
    const metrics = (await call(signal.healthPort, '/metrics', { from: '127.0.0.1' })).body;
    const open_ = Number(/^scx_slo_signal_connections ([0-9]+)$/m.exec(metrics)?.[1]);
    expect(open_).toBeLessThanOrEqual(4_096);
    expect(open_).toBeGreaterThan(64);
    await expectNoHarm();
  }, 60_000);
});

describe('slow callers', () => {
  it('that send a header byte by byte are closed', async () => {
    const slow = await Promise.all(Array.from({ length: 50 }, () => keep(BAD)));
    let open_ = slow.length;
    let answers = '';
    for (const socket of slow) {
      socket.on('close', () => {
        open_ -= 1;
      });
      socket.on('data', (chunk: Buffer) => {
        answers += chunk.toString('latin1');
      });
      socket.write('GET /v1/shed HTTP/1.1\r\nX: ');
    }
    const drip = setInterval(() => {
      for (const socket of slow) socket.write('x');
    }, 200);
    await until('all closed', () => open_ === 0);
    clearInterval(drip);
    expect(answers).toBe('');
  });

  it('that do not read their stream are closed, and nothing piles up for them', async () => {
    const path = join(root, 'pods/bad/shed.sock');
    let closed = 0;
    let opened = 0;
    for (let n = 0; n < 4; n += 1) {
      const socket = connect(path, () => {
        opened += 1;
        socket.write('GET /v1/level/stream HTTP/1.1\r\nHost: x\r\n\r\n');
      });
      sockets.push(socket);
      socket.pause();
      // A paused socket does not see its end: writing into it does.
      const probe = setInterval(() => socket.write('\r\n'), 200);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          clearInterval(probe);
          closed += 1;
        });
    }
    await until('open', () => opened === 4);
    let turn = 0;
    const changes = setInterval(() => {
      turn += 1;
      said = [podLevel('bad', [BAD], (turn % 90) / 100), podLevel('good', [GOOD], 0)];
    }, 20);
    await until('closed', () => closed === 4, 40_000);
    clearInterval(changes);
  }, 60_000);
});
