import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MISBEHAVIOURS, type Misbehaviour } from '../test/conformance/misbehaviour.ts';
import { ConformanceServer } from '../test/conformance/server.ts';
import { createShedder, type ShedderOptions } from './index.ts';
import type { Shedder } from './shedder.ts';

const WAIT = { timeout: 15_000, interval: 10 };

describe('a shedder', () => {
  const signal = new ConformanceServer();
  const open: Shedder[] = [];
  const shedder = (options: ShedderOptions = {}): Shedder => {
    const made = createShedder({ endpoint: signal.url, ttlMs: 300, halfLifeMs: 50, ...options });
    open.push(made);
    return made;
  };

  beforeEach(async () => {
    signal.set({ shed: 0, misbehaviour: undefined, stream: true, maxStreams: 4, retryAfterS: 3 });
    signal.asked.length = 0;
    await signal.start();
  });
  afterEach(async () => {
    for (const made of open.splice(0)) made.close();
    await signal.stop();
  });

  it.each(['stream', 'poll'] as const)('follows the level (%s)', async (mode) => {
    const shed = shedder({ mode, ttlMs: 5_000 });
    expect([shed.level, shed.state]).toEqual([0, 'unknown']);
    await expect.poll(() => shed.state, WAIT).toBe('ok');
    signal.set({ shed: 0.5 });
    await expect.poll(() => shed.level, WAIT).toBe(0.5);
    expect(shed.state).toBe('shedding');
    expect(shed.retryAfterMs).toBeGreaterThanOrEqual(3_000 * 0.75);
    expect(shed.retryAfterMs).toBeLessThanOrEqual(3_000 * 1.25);
    signal.set({ shed: 1 });
    await expect.poll(() => shed.level, WAIT).toBe(0.95);
    signal.set({ shed: 0 });
    await expect.poll(() => shed.level, WAIT).toBe(0);
    expect(shed.shouldShed()).toBe(false);
  });

  it('polls with the ETag of what it knows', async () => {
    shedder({ mode: 'poll', pollMs: 10 });
    await expect.poll(() => signal.askedFor('/v1/level').length, WAIT).toBeGreaterThan(2);
    const tags = signal.askedFor('/v1/level').map(({ headers }) => headers['if-none-match']);
    expect(tags[0]).toBeUndefined();
    expect(tags[1]).toMatch(/^"conformance-\d+"$/);
  });

  it.each([{ stream: false }, { maxStreams: 0 }])(
    'polls where the signal has no stream for it: %o',
    async (answer) => {
      signal.set({ ...answer, shed: 0.4 });
      const shed = shedder();
      await expect.poll(() => shed.level, WAIT).toBe(0.4);
      expect(signal.askedFor('/v1/level/stream')).toHaveLength(1);
      await expect.poll(() => signal.askedFor('/v1/level?wait=').length, WAIT).toBeGreaterThan(1);
      expect(signal.askedFor('/v1/level/stream')).toHaveLength(1);
    },
  );

  it.each(['stream', 'poll'] as const)(
    'opens when the signal is gone and follows the next one (%s)',
    async (mode) => {
      signal.set({ shed: 0.9 });
      const shed = shedder({ mode });
      const heard: string[] = [];
      shed.on('stale', () => heard.push('stale')).on('recover', () => heard.push('recover'));
      shed.on('change', () => {
        throw new Error('of a listener: nobody else must see it');
      });
      await expect.poll(() => shed.level, WAIT).toBe(0.9);
      await signal.stop();
      await expect.poll(() => shed.level, WAIT).toBe(0);
      expect(shed.state).toBe('stale');
      expect(shed.shouldShed()).toBe(false);
      await signal.start();
      await expect.poll(() => shed.level, WAIT).toBe(0.9);
      await expect.poll(() => heard, WAIT).toEqual(expect.arrayContaining(['stale', 'recover']));
      expect(shed.metrics().staleSeconds).toBeGreaterThan(0);
    },
  );

  it.each(MISBEHAVIOURS)(
    'serves everything when the signal does this from the start: %s',
    async (misbehaviour) => {
      signal.set({ misbehaviour, shed: 1 });
      const all = (['stream', 'poll', 'per-request'] as const).map((mode) => shedder({ mode }));
      const decisions = await Promise.all(all.map((shed) => shed.decide()));
      await expect.poll(() => signal.asked.length, WAIT).toBeGreaterThanOrEqual(3);
      expect(decisions).toEqual([false, false, false]);
      expect(all.map((shed) => shed.level)).toEqual([0, 0, 0]);
    },
  );

  it('opens whatever begins to go wrong, and recovers', async () => {
    const check = async (misbehaviour: Misbehaviour, mode: 'stream' | 'poll'): Promise<void> => {
      const own = new ConformanceServer();
      own.set({ shed: 0.9 });
      await own.start();
      try {
        const shed = shedder({ mode, endpoint: own.url });
        await expect.poll(() => shed.level, WAIT).toBe(0.9);
        own.set({ misbehaviour });
        await expect.poll(() => shed.level, WAIT).toBe(0);
        own.set({ misbehaviour: undefined });
        await expect.poll(() => shed.level, WAIT).toBe(0.9);
      } finally {
        await own.stop();
      }
    };
    await Promise.all(MISBEHAVIOURS.flatMap((how) => [check(how, 'stream'), check(how, 'poll')]));
  });

  it('asks about each request, and less when there is no answer', async () => {
    signal.set({ shed: 1, retryAfterS: 7 });
    const shed = shedder({ mode: 'per-request', timeoutMs: 2_000 });
    expect(await shed.decide()).toBe(true);
    expect(shed.retryAfterMs).toBeGreaterThanOrEqual(7_000 * 0.75);
    signal.set({ shed: 0 });
    expect(await shed.decide()).toBe(false);
    signal.set({ misbehaviour: 'close' });
    for (let n = 0; n < 3; n += 1) expect(await shed.decide()).toBe(false);
    expect(shed.asksEach).toBe(false);
    const asked = signal.asked.length;
    for (let n = 0; n < 10; n += 1) expect(await shed.decide()).toBe(false);
    expect(signal.asked.length).toBe(asked);
  });

  it('counts and tells what it would do in a dry run', async () => {
    signal.set({ shed: 1 });
    const told: unknown[] = [];
    const shed = shedder({ dryRun: true, onDecision: (decision) => told.push(decision) });
    await expect.poll(() => shed.level, WAIT).toBe(0.95);
    const decisions = Array.from({ length: 200 }, () => shed.shouldShed());
    expect(decisions.filter(Boolean)).toEqual([]);
    const { wouldShed, allowed, shedByAgent } = shed.metrics();
    expect(wouldShed).toBeGreaterThan(150);
    expect([wouldShed + allowed, shedByAgent]).toEqual([200, 0]);
    expect(told).toContainEqual({ shed: false, reason: 'agent', dryRun: true });
    expect(shed.metricsText()).toContain(
      `scx_slo_client_decisions_total{decision="allow",reason="dry-run"} ${wouldShed}\n`,
    );
  });

  it('sheds for its own queue without a signal, and says whose level it was', async () => {
    signal.set({ misbehaviour: 'close' });
    const shed = shedder({ local: { queueMs: 5 } });
    const feed = setInterval(() => shed.queueWaited(50), 5);
    await expect.poll(() => shed.level, WAIT).toBeGreaterThan(0.5);
    for (let n = 0; n < 100; n += 1) shed.shouldShed();
    clearInterval(feed);
    expect(shed.metrics()).toMatchObject({ agentLevel: 0, shedByAgent: 0 });
    expect(shed.metrics().shedByLocal).toBeGreaterThan(10);
    expect(shed.state).toBe('shedding');
  });

  it('reports how long requests waited, once there are any', async () => {
    const shed = shedder();
    const end = shed.begin();
    shed.shouldShed();
    shed.queueWaited(40);
    await expect.poll(() => signal.askedFor('/v1/report')[0]?.body, WAIT).toBeTruthy();
    const report = JSON.parse(signal.askedFor('/v1/report')[0]?.body ?? '');
    expect(report).toMatchObject({ inflight: 1, accepted: 1, rejected: 0 });
    expect(report.queue_p95_ms).toBeGreaterThanOrEqual(40);
    end();
    end();
    expect(shed.metrics().inflight).toBe(0);
  });

  it('after close it allows everything and is quiet', async () => {
    signal.set({ shed: 1 });
    const shed = shedder();
    await expect.poll(() => shed.level, WAIT).toBe(0.95);
    shed.close();
    shed.close();
    expect([shed.level, shed.shouldShed(), await shed.decide()]).toEqual([0, false, false]);
  });

  it('takes nonsense for its defaults and tells of it, once each', () => {
    const told: string[] = [];
    const nonsense = {
      endpoint: 'ftp://x',
      mode: 'psychic',
      pollMs: 'soon',
      ttlMs: Number.NaN,
      maxShed: 7,
      local: { queueMs: -1 },
      onProblem: (problem: string) => {
        told.push(problem);
        throw new Error('of the hook');
      },
    };
    const shed = createShedder(nonsense as unknown as ShedderOptions);
    open.push(shed);
    expect(new Set(told.map((problem) => problem.split(' ')[1]))).toEqual(
      new Set(['endpoint', 'local.queueMs', 'maxShed', 'mode', 'pollMs', 'ttlMs']),
    );
    expect(told).toHaveLength(6);
    expect(shed.shouldShed(null)).toBe(false);
  });

  it('does not keep a process alive', async () => {
    const script = `
      import { createShedder } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
      for (const mode of ['stream', 'poll']) createShedder({ mode, endpoint: ${JSON.stringify(signal.url)} });
      const shed = createShedder({ mode: 'stream', endpoint: ${JSON.stringify(signal.url)} });
      const wait = setInterval(() => { if (shed.state === 'ok') { clearInterval(wait); console.log('followed'); } }, 5);
    `;
    const argv = ['--input-type=module-typescript', '-e', script];
    const { stdout } = await promisify(execFile)(process.execPath, argv, { timeout: 15_000 });
    expect(stdout).toBe('followed\n');
  });
});
