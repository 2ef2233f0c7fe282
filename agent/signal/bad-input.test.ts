/** What broken and hostile callers send to the real process: an answer of the contract or a closed door, and no harm. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { call, exchange, open, until } from '../../test/signal-process.ts';
import { BAD, statusesOf, underAttack } from '../../test/signal-under-attack.ts';

const ALLOWED = new Set([200, 304, 400, 403, 404, 405, 413, 429]);
const rig = underAttack();

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
    const text = await exchange(rig.port, bytes, BAD);
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
          const socket = await open(rig.port, BAD);
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
    const socket = await rig.keep(BAD);
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
    const socket = await rig.keep(BAD);
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
      rig.port,
      'POST /v1/shed HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc',
      BAD,
    );
    expect(statusesOf(text)).toHaveLength(1);
    const chunks = 'POST /v1/shed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(statusesOf(await exchange(rig.port, `${chunks}zz\r\n`, BAD))).toHaveLength(1);
  });
});

describe('reports', () => {
  const reported = () => rig.attacked.messages.filter(({ t }) => t === 'report').length;

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
    const reply = await call(rig.port, '/v1/report', { method: 'POST', from: BAD, body });
    expect([reply.status, JSON.parse(reply.body).title]).toEqual([400, 'Bad Request']);
    expect(reported()).toBe(0);
  });

  it('that are too long are refused before their end', async () => {
    const head = 'POST /v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n';
    expect(statusesOf(await exchange(rig.port, head + 'x'.repeat(5_000), BAD))).toEqual([413]);
    expect(reported()).toBe(0);
  });
});
