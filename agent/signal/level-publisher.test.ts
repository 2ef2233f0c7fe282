/** The agent's end of the socket, with peers that misbehave. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { podLevel, until } from '../../test/signal-process.ts';
import { LevelPublisher } from './level-publisher.ts';
import { type AgentMessage, LineReader, parseAgentMessage, type SignalMessage } from './wire.ts';

const PODS = 500;
const levels = Array.from({ length: PODS }, (_, n) => podLevel(`p${n}`, [`10.0.${n >> 8}.${n & 255}`], 0.5));
/** A full round of these. */
const FULL_BYTES = JSON.stringify(levels).length + 100;

let root = '';
let path = '';
let publisher: LevelPublisher;
let messages: SignalMessage[] = [];
const peers: Socket[] = [];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'scx-slo-publisher-'));
  path = join(root, 'levels.sock');
  messages = [];
  publisher = new LevelPublisher(path, (message) => messages.push(message));
  expect(await publisher.start()).toBeUndefined();
});
afterEach(() => {
  for (const peer of peers.splice(0)) peer.destroy();
  publisher.stop();
  rmSync(root, { recursive: true, force: true });
});

const joinIn = async (): Promise<Socket> => {
  const peer = connect(path);
  peer.on('error', () => undefined);
  peers.push(peer);
  await once(peer, 'connect');
  return peer;
};

describe('the publisher', () => {
  it('keeps at most two rounds for a peer that does not read, then cuts it off', async () => {
    const peer = await joinIn();
    peer.pause();
    let nowMs = 0;
    let most = 0;
    for (let round = 0; round < 200; round += 1) {
      publisher.publish(
        levels.map((level) => ({ ...level, shedRatio: (round % 90) / 100 })),
        nowMs,
      );
      most = Math.max(most, publisher.unreadBytes);
      nowMs += 20;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(2 * FULL_BYTES);
    publisher.publish(levels, nowMs + 5_001);
    await until('cut off', () => publisher.unreadBytes === 0);
  });

  it('gives a peer that was slow everything as it is now', async () => {
    const peer = await joinIn();
    peer.pause();
    for (let round = 0; round < 50; round += 1) {
      publisher.publish(
        levels.map((level) => ({ ...level, shedRatio: (round % 90) / 100 })),
        round,
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
    const seen: AgentMessage[] = [];
    const lines = new LineReader(1e9, (line) => {
      const message = parseAgentMessage(line);
      if (message !== undefined) seen.push(message);
    });
    peer.on('data', (chunk: Buffer) => lines.push(chunk)).resume();
    await until('it has read', () => publisher.unreadBytes === 0);
    publisher.publish(levels, 51);
    const isAll = (message: AgentMessage | undefined): boolean =>
      message?.t === 'round' && message.full && message.levels.every(({ shedRatio }) => shedRatio === 0.5);
    await until('all of it', () => isAll(seen.at(-1)));
  });

  it('reads no more of a peer than it can use', async () => {
    const peer = await joinIn();
    peer.write('nonsense\n{"t":"report","podUid":"u","queueWaitMs":1}\n');
    await until('the report', () => messages.length === 1);
    peer.write('{"t":"report","podUid":"u","queueWaitMs":2}\n'.repeat(5_000));
    peer.write('x'.repeat(5 * 1_024 * 1_024));
    await new Promise((resolve) => peer.once('close', resolve));
    expect(messages.length).toBeLessThanOrEqual(2_000);
    expect(await joinIn()).toBeDefined();
  });

  it('takes the place of a socket that a dead agent left, and says where it cannot', async () => {
    const left = join(root, 'left.sock');
    writeFileSync(left, '');
    const second = new LevelPublisher(left, () => undefined);
    expect(await second.start()).toBeUndefined();
    second.stop();
    const nowhere = new LevelPublisher(join(root, 'no/such.sock'), () => undefined);
    expect(await nowhere.start()).toMatchObject({ code: 'SLO_E_LEVELS_SOCKET' });
    nowhere.stop();
  });
});
