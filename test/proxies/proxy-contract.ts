/** What every shipped proxy snippet must do, run against the real proxy. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freeLowPort } from '../conformance/low-port.ts';
import { MISBEHAVIOURS } from '../conformance/misbehaviour.ts';
import { RealSignal } from '../conformance/real-signal.ts';
import { ConformanceServer } from '../conformance/server.ts';
import { App } from './app.ts';
import { type Ask, Caller, type Reply } from './ask.ts';
import { debianPrograms, type Programs } from './programs.ts';
import { RunningProxy } from './running-proxy.ts';

export const DEBIAN_PACKAGES = ['nginx', 'haproxy', 'caddy'] as const;

/** What a snippet's addresses become. */
export interface Places {
  directory: string;
  signalPort: number;
  appPort: number;
  port: number;
}

export interface ProxyUnderTest {
  name: string;
  /** Writes the config. @returns the command line of the proxy in the foreground. */
  prepare: (places: Places, programs: Programs) => string[];
  /** The proxy asks about each request; otherwise it follows the level in the background. */
  asksEach: boolean;
}

const WAIT = { timeout: 15_000, interval: 20 };
/** Twice the shipped timeouts of 20 ms and more than a busy machine adds to a median; a proxy's own defaults are seconds. */
const HANG_BOUND_MS = 250;
const HANG_TRIES = 15;
const CROWD = 100;
const FOLLOWER_TAIL_MS = 3_000;

const HOSTILE_PATHS = [
  '//v1/level',
  '/../../v1/level',
  '/%2e%2e/%2e%2e/v1/level',
  '/_scx_slo',
  '/x?uri=/v1/level&status=200',
  '/x?http://127.0.0.1:1/',
  '/v1/shed-403',
  '/%00',
  '/a;b=c/%0d%0aX-Injected:%201',
  `/${'a'.repeat(6_000)}?${'q'.repeat(6_000)}`,
];

const HOSTILE_HEADERS: Record<string, string> = {
  'X-Forwarded-For': '10.0.0.1, evil',
  'X-Forwarded-Host': 'evil.example',
  'X-Forwarded-Uri': '/healthz',
  'X-Forwarded-Method': 'DELETE',
  'X-Forwarded-Prefix': '/v1/level',
  'X-Original-URI': '/healthz',
  'X-Original-Method': 'HEAD',
  'X-Rewrite-URL': '/healthz',
  Forwarded: 'for=10.0.0.1;host=evil',
  'X-SCX-SLO-Shed': '0.00',
  'X-SCX-SLO-State': 'ok',
};

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** What it finds malformed a proxy may refuse itself; nginx's own location for the question is no page. */
const fineStatuses = (shed: 0 | 1): number[] => [shed === 1 ? 429 : 200, 400, 404];

export const proxyContract = ({ name, prepare, asksEach }: ProxyUnderTest): void => {
  const programs = debianPrograms(DEBIAN_PACKAGES);

  if (typeof programs === 'string') {
    it(`${name}: the snippet does what its comments say`, (context) => context.skip(programs));
    return;
  }

  describe(name, () => {
    const signal = new ConformanceServer();
    const app = new App();
    let directory: string;
    let appPort: number;
    let proxy: RunningProxy;
    let caller: Caller;

    /** Statuses of requests at the same time. A follower lets a trickle of 5 % pass at every level: one says little. */
    const crowd = async (): Promise<number[]> => {
      const replies = await Promise.all(Array.from({ length: CROWD }, () => caller.ask()));
      return replies.map(({ status }) => status);
    };

    const opens = async (): Promise<void> => {
      await expect.poll(crowd, WAIT).toEqual(Array(CROWD).fill(200));
      // A share that may pass for none among so many requests is none after this.
      if (!asksEach) await sleep(FOLLOWER_TAIL_MS);
    };

    const closes = async (): Promise<void> => {
      const denied = async (): Promise<number> => (await crowd()).filter((status) => status === 429).length;
      await expect.poll(denied, WAIT).toBeGreaterThan(CROWD * 0.8);
    };

    const levelIs = async (shed: 0 | 1): Promise<void> => {
      signal.set({ shed });
      await (shed === 1 ? closes() : opens());
    };

    const denial = async (ask: Ask): Promise<Reply> => {
      let reply = await caller.ask(ask);
      for (let n = 0; n < 20 && reply.status === 200; n += 1) reply = await caller.ask(ask);
      return reply;
    };

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), `scx-slo-${name}-`));
      await signal.start();
      appPort = await app.start();
      const places = {
        directory,
        signalPort: signal.port,
        appPort,
        port: await freeLowPort(),
      };
      proxy = await RunningProxy.start(prepare(places, programs), places.port, directory, programs.env);
      caller = new Caller(places.port);
    });

    afterAll(async () => {
      caller.close();
      await proxy.stop();
      await app.stop();
      await signal.stop();
      rmSync(directory, { recursive: true });
    });

    beforeEach(async () => {
      signal.set({ shed: 0, misbehaviour: undefined, retryAfterS: 3 });
      await signal.start();
      app.arrived.length = 0;
    });

    it('allows, with the whole request and the app’s own statuses', async () => {
      await levelIs(0);
      const body = Buffer.alloc(200_000, 'x');
      const reply = await caller.ask({
        method: 'POST',
        path: '/orders?x=1',
        body,
        headers: { 'X-Mine': '7' },
      });
      expect(reply).toMatchObject({ status: 200, body: 'served by the app' });
      expect(app.arrived.at(-1)).toMatchObject({ method: 'POST', url: '/orders?x=1', bodyBytes: 200_000 });
      expect(app.arrived.at(-1)?.headers['x-mine']).toBe('7');
      for (const status of [403, 404, 429, 500, 502, 503]) {
        app.arrived.length = 0;
        expect((await caller.ask({ path: `/orders?status=${status}` })).status).toBe(status);
        expect(app.arrived).toHaveLength(1);
      }
    });

    it('denies with 429 and Retry-After, and tells the end client nothing more', async () => {
      await levelIs(1);
      app.arrived.length = 0;
      const replies: Reply[] = [];
      for (let n = 0; n < 60; n += 1)
        replies.push(await caller.ask({ method: n % 2 === 0 ? 'GET' : 'POST' }));
      const denied = replies.filter(({ status }) => status === 429);
      expect(denied.length).toBeGreaterThan(45);
      expect(app.arrived.length).toBe(replies.length - denied.length);
      for (const { headers, body } of denied) {
        expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(2);
        expect(Number(headers['retry-after'])).toBeLessThanOrEqual(4);
        expect(headers).toMatchObject({
          'content-type': 'application/problem+json',
          'x-envoy-ratelimited': '1',
          'cache-control': 'no-store',
        });
        expect(JSON.parse(body)).toEqual({ type: 'about:blank', title: 'Too Many Requests', status: 429 });
        expect(JSON.stringify(headers)).not.toMatch(/scx|conformance/i);
      }
    });

    it('sheds about the share that the level says', async () => {
      signal.set({ shed: 0.5 });
      const denied = async (): Promise<number> =>
        [await crowd(), await crowd(), await crowd()].flat().filter((status) => status === 429).length;
      await expect.poll(denied, WAIT).toBeGreaterThan(CROWD);
      expect(await denied()).toBeLessThan(2 * CROWD);
    });

    it('never sheds health checks', async () => {
      await levelIs(1);
      for (const path of ['/healthz', '/readyz', '/livez', '/metrics', '/readyz/db']) {
        for (let n = 0; n < 5; n += 1) expect((await caller.ask({ path })).status).toBe(200);
      }
      expect((await denial({ path: '/healthzz' })).status).toBe(429);
    });

    it('serves everything when the signal is down, and denies again after its restart', async () => {
      await levelIs(1);
      await signal.stop();
      await opens();
      for (let n = 0; n < 20; n += 1) expect((await caller.ask()).status).toBe(200);
      await signal.start();
      await closes();
    });

    it('serves everything when the signal hangs, and loses little time', async () => {
      await levelIs(0);
      const took = async (): Promise<number[]> => {
        const times: number[] = [];
        for (let n = 0; n < HANG_TRIES; n += 1) {
          const reply = await caller.ask();
          expect(reply.status).toBe(200);
          times.push(reply.tookMs);
        }
        return times;
      };
      const before = median(await took());
      await levelIs(1);
      signal.set({ misbehaviour: 'hang' });
      await opens();
      const hanging = median(await took());
      console.log(
        `${name}: median of ${HANG_TRIES} requests ${before.toFixed(1)} ms, with a hanging signal ${hanging.toFixed(1)} ms: ` +
          `${(hanging - before).toFixed(1)} ms more`,
      );
      expect(hanging - before).toBeLessThan(HANG_BOUND_MS);
      // It did wait for the answer, as far as its timeout.
      if (asksEach) expect(hanging).toBeGreaterThan(15);
    });

    it('serves everything whatever the signal answers', async () => {
      await levelIs(1);
      for (const misbehaviour of MISBEHAVIOURS) {
        const asked = signal.asked.length;
        signal.set({ misbehaviour });
        if (asksEach || misbehaviour === MISBEHAVIOURS[0]) await opens();
        await expect.poll(() => signal.asked.length, WAIT).toBeGreaterThan(asked + 1);
        const replies = [await caller.ask(), await caller.ask({ method: 'POST', body: Buffer.from('x') })];
        expect([misbehaviour, ...replies.map(({ status }) => status)]).toEqual([misbehaviour, 200, 200]);
        expect(app.arrived.at(-1)).toMatchObject({ method: 'POST', url: '/orders', bodyBytes: 1 });
      }
      signal.set({ misbehaviour: undefined });
      await closes();
    });

    it('takes 32 KB of cookies, and keeps them from the signal', async () => {
      const cookie = Array.from({ length: 32 }, (_, n) => `c${n}=${'x'.repeat(1_000)}`).join('; ');
      const headers = { Cookie: cookie, Authorization: 'Bearer secret' };
      await levelIs(0);
      signal.asked.length = 0;
      expect((await caller.ask({ headers })).status).toBe(200);
      expect(app.arrived.at(-1)?.headers).toMatchObject({ cookie, authorization: 'Bearer secret' });
      await levelIs(1);
      expect((await denial({ headers })).status).toBe(429);
      await expect.poll(() => signal.asked.length, WAIT).toBeGreaterThan(0);
      const leaked = signal.asked.filter(({ headers: seen }) => seen.cookie ?? seen.authorization);
      expect(leaked).toEqual([]);
    });

    it('follows the product’s own signal', async () => {
      const real = new RealSignal();
      await real.start();
      const own = mkdtempSync(join(tmpdir(), `scx-slo-${name}-`));
      const places = { directory: own, signalPort: real.port, appPort, port: await freeLowPort() };
      const other = await RunningProxy.start(prepare(places, programs), places.port, own, programs.env);
      const asking = new Caller(places.port);
      const denied = async (): Promise<number> => {
        const replies = await Promise.all(Array.from({ length: CROWD }, () => asking.ask()));
        return replies.filter(({ status }) => status === 429).length;
      };
      try {
        real.set(0.95);
        await expect.poll(denied, WAIT).toBeGreaterThan(CROWD * 0.8);
        real.set(0);
        await expect.poll(denied, WAIT).toBe(0);
      } finally {
        asking.close();
        await other.stop();
        await real.stop();
        rmSync(own, { recursive: true });
      }
    });

    it.each([0, 1] as const)('hostile paths and headers change no decision at level %i', async (shed) => {
      await levelIs(shed);
      signal.asked.length = 0;
      const ask = shed === 1 ? denial : (what: Ask) => caller.ask(what);
      for (const path of HOSTILE_PATHS) {
        const reply = await ask({ path, headers: HOSTILE_HEADERS });
        expect(fineStatuses(shed)).toContain(reply.status);
        expect(reply.body).not.toContain('"seq"');
      }
      expect((await ask({ headers: HOSTILE_HEADERS })).status).toBe(shed === 1 ? 429 : 200);
      await expect.poll(() => signal.asked.length, WAIT).toBeGreaterThan(0);
      const asked = signal.asked.map(({ method, url }) => `${method} ${url.split('?', 1)[0]}`);
      expect(asked.filter((line) => !/^GET \/v1\/(shed(-403)?|level)$/.test(line))).toEqual([]);
    });
  });
};
