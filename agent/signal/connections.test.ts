import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../test/signal-process.ts';
import { Connections } from './connections.ts';
import { OpenLimit, RateLimit } from './limits.ts';

describe('limits', () => {
  it('count calls a second, of one caller and of all', () => {
    const limit = new RateLimit(2, 5);
    expect(['a', 'a', 'a', 'a'].map((id) => limit.take(id, 0))).toEqual([
      'within',
      'within',
      'over',
      'flood',
    ]);
    expect([limit.take('b', 10), limit.take('c', 10)]).toEqual(['within', 'over']);
    expect(limit.take('a', 1_000)).toBe('within');
  });

  it('count what is open, and give it back once', () => {
    const limit = new OpenLimit(1, 2);
    const close = limit.open('a');
    expect(limit.open('a')).toBeUndefined();
    expect(limit.open('b')).toBeDefined();
    expect(limit.open('c')).toBeUndefined();
    close?.();
    close?.();
    expect(limit.total).toBe(1);
    expect(limit.open('a')).toBeDefined();
  });
});

describe('connections', () => {
  let server: Server;
  let connections: Connections;
  let nowMs = 0;
  const accepted: Socket[] = [];
  const clients: Socket[] = [];

  beforeEach(async () => {
    nowMs = 0;
    connections = new Connections(6, () => nowMs);
    server = createServer((socket) => {
      accepted.push(socket);
      connections.admit(socket, socket.remoteAddress ?? '');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    for (const socket of [...clients.splice(0), ...accepted.splice(0)]) socket.destroy();
    server.close();
  });

  /** @returns the two ends of a new connection. */
  const open = async (from: string): Promise<{ client: Socket; server: Socket }> => {
    const { port } = server.address() as AddressInfo;
    const before = accepted.length;
    const client = connect({ host: '127.0.0.1', port, localAddress: from });
    client.on('error', () => undefined).resume();
    clients.push(client);
    await until('accepted', () => accepted.length > before);
    const last = accepted.at(-1);
    if (last === undefined) throw new Error('not accepted');
    return { client, server: last };
  };

  it('give way when the house is full: the oldest of whoever has most', async () => {
    const greedy = [];
    for (let n = 0; n < 6; n += 1) greedy.push(await open('127.0.0.2'));
    const modest = await open('127.0.0.3');
    expect(modest.server.destroyed).toBe(false);
    expect(greedy.map(({ server: { destroyed } }) => destroyed)).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
    expect([connections.total, connections.refused]).toEqual([6, 0]);
    const more = await open('127.0.0.2');
    expect([more.server.destroyed, connections.refused]).toEqual([true, 1]);
    modest.client.destroy();
    await until('closed', () => connections.total === 5);
  });

  it('of one that floods are closed for a second', async () => {
    const first = await open('127.0.0.2');
    connections.block('127.0.0.2');
    expect(first.server.destroyed).toBe(true);
    expect((await open('127.0.0.2')).server.destroyed).toBe(true);
    expect((await open('127.0.0.3')).server.destroyed).toBe(false);
    nowMs = 1_000;
    expect((await open('127.0.0.2')).server.destroyed).toBe(false);
  });

  it('end when too many requests come in one go', async () => {
    const { server: socket } = await open('127.0.0.2');
    const orderly = Array.from({ length: 40 }, () => connections.isOrderly(socket));
    expect(orderly.filter((each) => each)).toHaveLength(32);
    expect(socket.destroyed).toBe(true);
    const next = await open('127.0.0.2');
    for (let n = 0; n < 40; n += 1) {
      expect(connections.isOrderly(next.server)).toBe(true);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
});
