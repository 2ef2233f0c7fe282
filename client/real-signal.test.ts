/** The client against the product's own signal process. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RealSignal } from '../test/conformance/real-signal.ts';
import { createShedder } from './index.ts';

const WAIT = { timeout: 15_000, interval: 20 };

describe('the client and the signal process', () => {
  const signal = new RealSignal();
  beforeAll(() => signal.start());
  afterAll(() => signal.stop());

  it('follow by stream and by poll, also beyond the streams that a pod may have', async () => {
    signal.set(0);
    const streams = Array.from({ length: 6 }, () =>
      createShedder({ endpoint: signal.url, mode: 'stream', ttlMs: 5_000 }),
    );
    const all = [...streams, createShedder({ endpoint: signal.url, mode: 'poll', ttlMs: 5_000 })];
    try {
      await expect.poll(() => all.map(({ state }) => state), WAIT).toEqual(all.map(() => 'ok'));
      signal.set(0.4);
      await expect.poll(() => all.map(({ level }) => level), WAIT).toEqual(all.map(() => 0.4));
      signal.set(0.8);
      await expect.poll(() => all.map(({ level }) => level), WAIT).toEqual(all.map(() => 0.8));
      expect(new Set(all.map(({ state }) => state))).toEqual(new Set(['shedding']));
    } finally {
      for (const each of all) each.close();
    }
  });

  it('decide per request, and report a queue', async () => {
    signal.set(0.95);
    const shed = createShedder({ endpoint: signal.url, mode: 'per-request', timeoutMs: 5_000 });
    const end = shed.begin();
    try {
      const denied = async (): Promise<number> => {
        const decisions = await Promise.all(Array.from({ length: 40 }, () => shed.decide()));
        return decisions.filter(Boolean).length;
      };
      await expect.poll(denied, WAIT).toBeGreaterThan(30);
      shed.queueWaited(25);
      const reports = () =>
        signal.messages.flatMap((message) => (message.t === 'report' ? [message.queueWaitMs] : []));
      await expect
        .poll(() => {
          shed.queueWaited(25);
          return Math.max(0, ...reports());
        }, WAIT)
        .toBeGreaterThanOrEqual(25);
    } finally {
      end();
      shed.close();
    }
  });
});
