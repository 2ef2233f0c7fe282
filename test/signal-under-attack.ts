/** The real signal process with a bad caller and a good one, fed by the agent's own end of the socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { PodLevel } from '../agent/shed/feed.ts';
import { LevelPublisher } from '../agent/signal/level-publisher.ts';
import type { SignalMessage } from '../agent/signal/wire.ts';
import { call, open, podLevel, type SignalProcess, startSignal, until } from './signal-process.ts';

/** Bad callers ask from here, the good one from its own address. */
export const BAD = '127.0.0.2';
export const GOOD = '127.0.0.3';
/** What the process may grow by, whatever is done to it. */
const MAX_GROWTH_MIB = 150;
const ROUND_MS = 20;

export class SignalUnderAttack {
  readonly root: string;
  readonly signal: SignalProcess;
  /** What the agent got from it. */
  readonly messages: SignalMessage[];
  readonly #publisher: LevelPublisher;
  readonly #rounds: NodeJS.Timeout;
  readonly #idleMiB: number;
  #said: readonly PodLevel[] = [];

  private constructor(
    root: string,
    signal: SignalProcess,
    messages: SignalMessage[],
    publisher: LevelPublisher,
  ) {
    this.root = root;
    this.signal = signal;
    this.messages = messages;
    this.#publisher = publisher;
    this.#idleMiB = signal.rssMiB();
    this.sayOfBad(0.5);
    this.#rounds = setInterval(() => publisher.publish(this.#said, performance.now()), ROUND_MS);
  }

  static async start(): Promise<SignalUnderAttack> {
    const root = mkdtempSync(join(tmpdir(), 'scx-slo-bad-'));
    const messages: SignalMessage[] = [];
    const levels = join(root, 'levels.sock');
    const publisher = new LevelPublisher(levels, (message) => messages.push(message));
    expect(await publisher.start()).toBeUndefined();
    const signal = await startSignal({ levels, flags: ['--pod-sockets', join(root, 'pods')] });
    const made = new SignalUnderAttack(root, signal, messages, publisher);
    const isKnown = async () => (await call(signal.port, '/v1/level', { from: GOOD })).body.includes('ok');
    await until('levels', isKnown);
    return made;
  }

  get port(): number {
    return this.signal.port;
  }

  sayOfBad(shedRatio: number): void {
    this.#said = [podLevel('bad', [BAD], shedRatio), podLevel('good', [GOOD], 0)];
  }

  /** The good caller is served, by a process that did not grow. */
  async expectNoHarm(): Promise<void> {
    const decision = await call(this.port, '/v1/shed', { from: GOOD });
    expect(decision).toMatchObject({ status: 200, headers: { 'x-scx-slo-state': 'ok' } });
    const level = await call(this.port, '/v1/level', { from: GOOD });
    expect(JSON.parse(level.body)).toMatchObject({ state: 'ok' });
    expect(this.signal.child.exitCode).toBeNull();
    expect(this.signal.rssMiB() - this.#idleMiB).toBeLessThan(MAX_GROWTH_MIB);
  }

  async stop(): Promise<void> {
    clearInterval(this.#rounds);
    await this.signal.stop();
    this.#publisher.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The statuses of all answers in a piece of a connection. */
export const statusesOf = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 ([0-9]{3}) /g)].map(([, status]) => Number(status));

export interface AttackRig {
  readonly attacked: SignalUnderAttack;
  readonly port: number;
  /** A connection that ends with its test. */
  keep(from: string): Promise<Socket>;
  /** The same for one that the test made. */
  ends(socket: Socket): void;
}

/** One process for the tests of a file; after each, it must have come to no harm. */
export const underAttack = (): AttackRig => {
  const sockets: Socket[] = [];
  let attacked: SignalUnderAttack | undefined;
  const started = (): SignalUnderAttack => {
    if (attacked === undefined) throw new Error('the process is started before the first test');
    return attacked;
  };
  beforeAll(async () => {
    attacked = await SignalUnderAttack.start();
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await started().expectNoHarm();
  });
  afterAll(() => attacked?.stop());
  return {
    get attacked() {
      return started();
    },
    get port() {
      return started().port;
    },
    ends: (socket) => void sockets.push(socket),
    keep: async (from) => {
      const socket = await open(started().port, from);
      sockets.push(socket);
      return socket;
    },
  };
};
