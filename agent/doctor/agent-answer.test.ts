import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { exitRecord } from '../exit-record.ts';
import { askAgent, parseAnswer } from './agent-answer.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const serve = async (status: number, body: string): Promise<string> => {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/v1/exits' ? status : 404).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const exit = exitRecord(
  { kind: 1026, exitCode: 0n, reason: 'r', message: 'm', dump: 'd' },
  { atMs: 0, kernel: '7.3', ranMs: 0 },
);

it('takes what the agent says', async () => {
  const page = {
    version: '1.0',
    mode: 'advisory',
    wantedMode: 'enforce',
    modeReason: { code: 'BackOff', message: 'm', hint: 'h' },
    restart: { action: 'backOff', inSeconds: 3 },
    exits: [exit, 'nonsense'],
  };
  expect(await askAgent(await serve(200, JSON.stringify(page)))).toEqual({
    version: '1.0',
    mode: 'advisory',
    wantedMode: 'enforce',
    reason: { code: 'BackOff', message: 'm', hint: 'h' },
    restart: { action: 'backOff', inSeconds: 3 },
    exits: [exit],
  });
});

it('says why there is no answer', async () => {
  const gone = await serve(200, '');
  for (const close of closers.splice(0)) close();
  expect(await askAgent(gone)).toMatchObject({ code: 'SLO_E_NO_AGENT', why: 'ECONNREFUSED' });
  expect(await askAgent(await serve(404, 'no'))).toMatchObject({ why: 'HTTP status 404' });
  expect(await askAgent(await serve(200, '{}'))).toMatchObject({ why: expect.stringContaining('no agent') });
  expect(await askAgent(await serve(200, '<html>'))).toMatchObject({ code: 'SLO_E_NO_AGENT' });
  expect(await askAgent('no address')).toMatchObject({ code: 'SLO_E_NO_AGENT' });
});

it('asks again where the answer was that the question came too late', async () => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    if (asked < 3) response.writeHead(408).end();
    else
      response.end(JSON.stringify({ mode: 'observe', wantedMode: 'observe', modeReason: null, exits: [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const answer = await askAgent(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(answer).toMatchObject({ mode: 'observe', reason: undefined });
  expect(asked).toBe(3);
});

it('never stumbles over what answers', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (json) => {
      const answer = parseAnswer(json);
      expect(answer === undefined || typeof answer.mode === 'string').toBe(true);
    }),
  );
});
