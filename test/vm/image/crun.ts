/** Containers run by crun, inside the virtual machine. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const HERE = '/work/build/vm/image';
const CRUN = ['--root', '/run/crun', '--cgroup-manager', 'cgroupfs'];
const ENV = { ...process.env, LD_LIBRARY_PATH: join(HERE, 'lib') };

const crun = (...args: string[]): string =>
  execFileSync(join(HERE, 'crun'), [...CRUN, ...args], { env: ENV, encoding: 'utf8' });

export class CrunContainer {
  readonly #id: string;
  readonly #child: ChildProcess;
  readonly #log: string;

  private constructor(id: string, child: ChildProcess, log: string) {
    this.#id = id;
    this.#child = child;
    this.#log = log;
  }

  static start(id: string, config: object): CrunContainer {
    const bundle = `/run/bundles/${id}`;
    mkdirSync(bundle, { recursive: true });
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    const log = `/out/${id}.log`;
    const output = openSync(log, 'w');
    const child = spawn(join(HERE, 'crun'), [...CRUN, 'run', '--bundle', bundle, id], {
      env: ENV,
      stdio: ['ignore', output, output],
    });
    return new CrunContainer(id, child, log);
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  log(): string {
    return readFileSync(this.#log, 'utf8');
  }

  /** On the node, not inside. */
  pid(): number {
    const state: { pid: number } = JSON.parse(crun('state', this.#id));
    return state.pid;
  }

  /** A line of /proc/PID/status, such as CapEff. */
  status(field: string): string {
    const text = readFileSync(`/proc/${this.pid()}/status`, 'utf8');
    return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '';
  }

  /** @returns the exit code of its first process */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    const ended = once(this.#child, 'exit');
    if (!this.hasEnded) {
      crun('kill', this.#id, signal);
      await ended;
    }
    return this.#child.exitCode;
  }
}
