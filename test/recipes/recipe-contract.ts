/** What a recipe for another language must do, as a server of its own, with the conformance server and the real signal. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MISBEHAVIOURS } from '../conformance/misbehaviour.ts';
import { RealSignal } from '../conformance/real-signal.ts';
import { ConformanceServer } from '../conformance/server.ts';
import { Caller, type Reply } from '../proxies/ask.ts';

const WAIT = { timeout: 20_000, interval: 20 };
const CROWD = 100;
/** A share that may pass for none among so many requests is none after this. */
const TAIL_MS = 3_000;
const START_TIMEOUT_MS = 240_000;

export interface Recipe {
  name: string;
  /** @returns the command line before the endpoint, or why it cannot run here. */
  prepare: (directory: string) => string[] | string;
}

class RecipeServer {
  readonly #child: ChildProcess;
  readonly caller: Caller;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.caller = new Caller(port);
  }

  static async start(argv: readonly string[], endpoint: string): Promise<RecipeServer> {
    const [program = '', ...rest] = argv;
    const child = spawn(program, [...rest, endpoint], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return new RecipeServer(child, Number(line.toString()));
  }

  async stop(): Promise<void> {
    this.caller.close();
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  async crowd(): Promise<Reply[]> {
    return await Promise.all(Array.from({ length: CROWD }, () => this.caller.ask()));
  }

  async denied(): Promise<number> {
    return (await this.crowd()).filter(({ status }) => status === 429).length;
  }
}

export const recipeContract = ({ name, prepare }: Recipe): void => {
  describe(`the ${name} recipe`, () => {
    const signal = new ConformanceServer();
    let directory: string;
    let argv: string[] | string;
    let server: RecipeServer;

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'scx-slo-recipe-'));
      argv = prepare(directory);
      await signal.start();
      if (typeof argv !== 'string') server = await RecipeServer.start(argv, signal.url);
    }, START_TIMEOUT_MS);

    afterAll(async () => {
      if (typeof argv !== 'string') await server.stop();
      await signal.stop();
      rmSync(directory, { recursive: true });
    });

    beforeEach((context) => {
      if (typeof argv === 'string') context.skip(argv);
      signal.set({ shed: 0, misbehaviour: undefined, retryAfterS: 3 });
    });

    const closes = () => expect.poll(() => server.denied(), WAIT).toBeGreaterThan(CROWD * 0.8);
    const opens = async (): Promise<void> => {
      await expect.poll(() => server.denied(), WAIT).toBe(0);
      await sleep(TAIL_MS);
    };

    it('serves at level 0 and rejects with Retry-After at level 1, but not health checks', async () => {
      await opens();
      signal.set({ shed: 1 });
      await closes();
      const rejected = (await server.crowd()).find(({ status }) => status === 429);
      expect(rejected).toMatchObject({
        body: '',
        headers: { 'x-envoy-ratelimited': '1', 'cache-control': 'no-store' },
      });
      expect(Number(rejected?.headers['retry-after'])).toBeGreaterThanOrEqual(3);
      expect(Number(rejected?.headers['retry-after'])).toBeLessThanOrEqual(4);
      for (const path of ['/healthz', '/readyz', '/livez/x', '/metrics?x']) {
        for (let n = 0; n < 5; n += 1) expect((await server.caller.ask({ path })).status).toBe(200);
      }
    });

    it('asks with the tag of what it knows', async () => {
      await expect
        .poll(() => signal.asked.some(({ headers }) => headers['if-none-match'] !== undefined), WAIT)
        .toBe(true);
      expect(new Set(signal.asked.map(({ method, url }) => `${method} ${url}`))).toEqual(
        new Set(['GET /v1/level?wait=400']),
      );
    });

    it('opens when the signal goes and follows the next one', async () => {
      signal.set({ shed: 1 });
      await closes();
      await signal.stop();
      await opens();
      await signal.start();
      await closes();
    });

    it('opens whatever the signal does', async () => {
      signal.set({ shed: 1 });
      await closes();
      for (const misbehaviour of MISBEHAVIOURS) {
        const asked = signal.asked.length;
        signal.set({ misbehaviour });
        if (misbehaviour === MISBEHAVIOURS[0]) await opens();
        await expect.poll(() => signal.asked.length, WAIT).toBeGreaterThan(asked);
        // After the thin tail of the first nothing sheds any more.
        if (misbehaviour !== MISBEHAVIOURS[0])
          expect([misbehaviour, await server.denied()]).toEqual([misbehaviour, 0]);
      }
      signal.set({ misbehaviour: undefined });
      await closes();
    });

    it('follows the product’s own signal', async () => {
      const real = new RealSignal();
      await real.start();
      const other = typeof argv === 'string' ? server : await RecipeServer.start(argv, real.url);
      try {
        real.set(0.95);
        await expect.poll(() => other.denied(), WAIT).toBeGreaterThan(CROWD * 0.8);
        real.set(0);
        await expect.poll(() => other.denied(), WAIT).toBe(0);
      } finally {
        await other.stop();
        await real.stop();
      }
    });
  });
};
