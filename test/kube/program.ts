/** One long-running program: its log, its end with this process, its stop and pause. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProgramStart {
  name: string;
  command: string;
  args: readonly string[];
  /** Appended to. */
  logFile: string;
  env?: NodeJS.ProcessEnv;
}

const STOP_LIMIT_MS = 10_000;
const LOOK_MS = 50;

export class Program {
  readonly name: string;
  readonly logFile: string;
  readonly #logStart: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(start: ProgramStart) {
    this.name = start.name;
    this.logFile = start.logFile;
    const log = openSync(start.logFile, 'a');
    this.#logStart = fstatSync(log).size;
    // pdeathsig: the program ends with this process, even after SIGKILL.
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', start.command, ...start.args], {
      stdio: ['ignore', log, log],
      env: start.env ?? process.env,
    });
    closeSync(log);
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', () => resolve());
      this.#child.once('exit', () => resolve());
    });
  }

  static start(start: ProgramStart): Program {
    return new Program(start);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /** SIGTERM, and SIGKILL when that takes too long. */
  async stop(limitMs = STOP_LIMIT_MS): Promise<void> {
    this.signal('SIGTERM');
    // One that is stopped acts on no SIGTERM.
    this.signal('SIGCONT');
    const limit = setTimeout(() => this.signal('SIGKILL'), limitMs);
    await this.#ended;
    clearTimeout(limit);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#ended;
  }

  /** Resolves when `ready` does not fail and is not false; throws with the end of the log when it takes too long. */
  async until(what: string, ready: () => Promise<boolean>, limitMs: number): Promise<void> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      if (await ready().catch(() => false)) return;
      if (!this.running)
        throw new Error(`${this.name} ended (exit ${this.#child.exitCode})\n${this.logTail()}`);
      if (performance.now() > endMs) {
        throw new Error(`${this.name}: not within ${limitMs / 1000} s: ${what}\n${this.logTail()}`);
      }
      await sleep(LOOK_MS);
    }
  }

  /** What it said since it was started. */
  logText(): string {
    return readFileSync(this.logFile).subarray(this.#logStart).toString('utf8');
  }

  logTail(): string {
    return `${this.logFile} ends with:\n${this.logText().trimEnd().split('\n').slice(-15).join('\n')}`;
  }
}
