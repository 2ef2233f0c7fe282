/** A proxy as a process of its own, from its shipped snippet. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SNIPPETS = join(import.meta.dirname, '..', '..', 'manifests', 'proxies');

export const snippetPath = (name: string): string => join(SNIPPETS, name);

/** The shipped text with other addresses; every one of them must be in it. */
export const snippet = (name: string, addresses: Readonly<Record<string, string>>): string => {
  let text = readFileSync(snippetPath(name), 'utf8');
  for (const [shipped, here] of Object.entries(addresses)) {
    if (!text.includes(shipped)) throw new Error(`${name} has no ${shipped}`);
    text = text.replaceAll(shipped, here);
  }
  return text;
};

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

const STARTS_WITHIN_MS = 20_000;
const STOPS_WITHIN_MS = 3_000;
const MAX_LOG_CHARS = 20_000;

export class RunningProxy {
  readonly port: number;
  readonly #child: ChildProcess;
  #log = '';

  private constructor(child: ChildProcess, port: number) {
    this.port = port;
    this.#child = child;
    const note = (part: Buffer): void => {
      this.#log = (this.#log + part.toString()).slice(-MAX_LOG_CHARS);
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
  }

  /** @param argv of a program that stays in the foreground and listens on 127.0.0.1:port. */
  static async start(
    argv: readonly string[],
    port: number,
    cwd: string,
    env: Readonly<Record<string, string>>,
  ): Promise<RunningProxy> {
    const [program = '', ...rest] = argv;
    const child = spawn(program, rest, { cwd, env: { PATH: process.env.PATH, HOME: cwd, ...env } });
    const proxy = new RunningProxy(child, port);
    child.once('error', (error) => {
      proxy.#log += error.message;
    });
    const untilMs = performance.now() + STARTS_WITHIN_MS;
    while (!(await accepts(port))) {
      if (child.exitCode !== null || performance.now() > untilMs) {
        await proxy.stop();
        throw new Error(`${program} does not listen on ${port}: ${proxy.#log}`);
      }
      await sleep(50);
    }
    return proxy;
  }

  get log(): string {
    return this.#log;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.pid === undefined) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await Promise.race([exit, sleep(STOPS_WITHIN_MS, undefined, { ref: false })]);
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await exit;
    }
  }
}
