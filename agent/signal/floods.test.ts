/** Callers that ask too much, too often, too slowly, or never listen: the real process serves the others. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { call, exchange, until } from '../../test/signal-process.ts';
import { BAD, statusesOf, underAttack } from '../../test/signal-under-attack.ts';

const CLOSE = 'Connection: close\r\n\r\n';

const rig = underAttack();

describe('floods', () => {
  it('of pipelined requests: some are answered in order, too many end the connection', async () => {
    const one = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const few = Array.from({ length: 20 }, (_, n) => one(n % 2 === 0 ? '/nope' : '/v1/shed-403')).join('');
    const statuses = statusesOf(await exchange(rig.port, `${few}GET /nope HTTP/1.1\r\n${CLOSE}`, BAD));
    expect(statuses).toHaveLength(21);
    expect(statuses.filter((_, n) => n % 2 === 0).every((status) => status === 404)).toBe(true);
    const many = statusesOf(await exchange(rig.port, one('/v1/shed').repeat(20_000), BAD));
    expect(many.length).toBeLessThan(20_000);
  });

  it('of decisions: no more than its share is decided, whatever a caller asks', async () => {
    const BATCH = 16;
    const startMs = performance.now();
    const counts = { ok: 0, unknown: 0 };
    let isShut = false;
    const ask = async (): Promise<void> => {
      const socket = await rig.keep(BAD);
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
    await rig.attacked.expectNoHarm();
    await sleep(1_100);
    expect((await call(rig.port, '/v1/shed', { from: BAD })).status).toBeLessThan(500);
  });

  it('of 10,000 idle connections, from one address and from many', async () => {
    const limit = /^Max open files +([0-9]+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    const wanted = 10_000;
    const possible = Math.min(wanted, Number(limit) - 1_000);
    if (possible < wanted)
      process.stderr.write(`only ${possible} connections: this process may open ${limit} files\n`);
    for (let n = 0; n < possible; n += 1) {
      const from = n < possible / 2 ? BAD : `127.0.1.${1 + (n % 200)}`;
      const socket = await rig.keep(from);
      if (n % 3 === 0) socket.write('GET /v1/shed HTTP/1.1\r\nHost: x\r\n\r\n');
      if (n % 1_000 === 999) await rig.attacked.expectNoHarm();
    }
    const metrics = (await call(rig.attacked.signal.healthPort, '/metrics', { from: '127.0.0.1' })).body;
    const open_ = Number(/^scx_slo_signal_connections ([0-9]+)$/m.exec(metrics)?.[1]);
    expect(open_).toBeLessThanOrEqual(4_096);
    expect(open_).toBeGreaterThan(64);
    await rig.attacked.expectNoHarm();
  }, 60_000);
});

describe('slow callers', () => {
  it('that send a header byte by byte are closed', async () => {
    const slow = await Promise.all(Array.from({ length: 50 }, () => rig.keep(BAD)));
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
    const path = join(rig.attacked.root, 'pods/bad/shed.sock');
    let closed = 0;
    let opened = 0;
    for (let n = 0; n < 4; n += 1) {
      const socket = connect(path, () => {
        opened += 1;
        socket.write('GET /v1/level/stream HTTP/1.1\r\nHost: x\r\n\r\n');
      });
      rig.ends(socket);
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
      rig.attacked.sayOfBad((turn % 90) / 100);
    }, 20);
    await until('closed', () => closed === 4, 40_000);
    clearInterval(changes);
  }, 60_000);
});
