import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseLevel, pollShedLevel } from './shed-poller.ts';

test('reads a level', () => {
  expect(parseLevel('{"v":1,"shed":0.25,"retry_after_ms":1800}')).toEqual({
    shed: 0.25,
    retryAfterSeconds: 2,
  });
});

test('whatever else comes means: turn nobody away', () => {
  for (const body of [
    '',
    'null',
    '[]',
    '{}',
    '{"shed":"x"}',
    '{"shed":1.1}',
    '{"shed":-1}',
    '{"shed":null',
    '7',
  ]) {
    expect(parseLevel(body)).toMatchObject({ shed: 0 });
  }
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
      const { shed, retryAfterSeconds } = parseLevel(body);
      expect(shed).toBeGreaterThanOrEqual(0);
      expect(shed).toBeLessThanOrEqual(1);
      expect(retryAfterSeconds).toBeGreaterThanOrEqual(1);
    }),
  );
});

test('follows changes by ETag, and opens when the endpoint goes', async () => {
  const asked: (string | undefined)[] = [];
  const answer: RequestListener = (request, response) => {
    asked.push(request.headers['if-none-match']);
    if (asked.length === 2) response.writeHead(304, { etag: '"1"' }).end();
    else response.writeHead(200, { etag: '"1"' }).end('{"shed":0.5,"retry_after_ms":1000}');
  };
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const poller = pollShedLevel(`http://127.0.0.1:${port}`, { pauseMs: 10, waitMs: 20, holdMs: 500 });
  await expect.poll(() => asked.length, { timeout: 10_000 }).toBeGreaterThan(3);
  expect(asked.slice(0, 3)).toEqual([undefined, '"1"', '"1"']);
  expect(poller.current().shed).toBe(0.5);
  server.close();
  server.closeAllConnections();
  await expect.poll(() => poller.current().shed, { timeout: 10_000 }).toBe(0);
  poller.stop();
});
