// The real agent as a process of its own, as an operator runs it; talked to over its own endpoints.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExitsView } from '../../../agent/observe/exits-view.ts';
import type { podsView } from '../../../agent/observe/pods-view.ts';

export type PodsView = ReturnType<typeof podsView>;

const LOCAL = 'http://127.0.0.1:7090';
const METRICS = 'http://127.0.0.1:9090';

/** Verifying the programs takes a minute on a full node that is emulated. */
const START_LIMIT_MS = 120_000;

/** On a busy node a kept connection may be closed by the server while it is taken up again. */
const get = (url: string): Promise<Response> => fetch(url, { headers: { connection: 'close' } });

/** On a starved node a request may come so late after its connection that the server answers 408 to nothing. */
const getPage = async (url: string, tries = 3): Promise<string> => {
  const answer = await get(url);
  if (answer.status === 408 && tries > 1) return await getPage(url, tries - 1);
  if (!answer.ok) throw new Error(`${url}: HTTP status ${answer.status}`);
  return await answer.text();
};

/** Polls `look` until it answers something; throws with `what` after `limitMs`. */
export const eventually = async <T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  limitMs = 20_000,
): Promise<T> => {
  const until = performance.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > until) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(20);
  }
};

export const schedExt = (file: 'state' | 'root/ops'): string => {
  try {
    return readFileSync(`/sys/kernel/sched_ext/${file}`, 'utf8').trim();
  } catch {
    return '';
  }
};

const running = new Set<ChildProcess>();

/** After each test: whatever an assertion left behind must not spoil the next one. */
export const killAgents = async (): Promise<void> => {
  for (const child of running) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await eventually('no scheduler is loaded', () => (schedExt('state') === 'enabled' ? undefined : true));
};

export class AgentProcess {
  readonly child: ChildProcess;
  readonly #logFile: string;

  private constructor(child: ChildProcess, logFile: string) {
    this.child = child;
    this.#logFile = logFile;
  }

  /** Resolves when /readyz says 200. */
  static async start(name: string, args: readonly string[]): Promise<AgentProcess> {
    const logFile = `/out/agent-${name}.log`;
    const child = spawn(process.execPath, ['build/dist/agent.mjs', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    const log = createWriteStream(logFile);
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    const agent = new AgentProcess(child, logFile);
    try {
      await eventually(
        'the agent is ready',
        async () => {
          if (child.exitCode !== null)
            throw new Error(`the agent ended with ${child.exitCode}:\n${agent.log()}`);
          const answer = await get(`${METRICS}/readyz`).catch(() => undefined);
          return answer?.ok ? true : undefined;
        },
        START_LIMIT_MS,
      );
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    return agent;
  }

  /** In mode enforce, without the signal endpoint. */
  static enforce(name: string, podsDir: string, more: readonly string[] = []): Promise<AgentProcess> {
    const usual = ['--mode', 'enforce', '--pods-dir', podsDir, '--signal-address', 'off'];
    return AgentProcess.start(name, [...usual, ...more]);
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  async view(): Promise<PodsView> {
    return JSON.parse(await getPage(`${LOCAL}/v1/pods`)) as PodsView;
  }

  /** Why the scheduler left, and what comes next. */
  async exits(): Promise<ExitsView> {
    return JSON.parse(await getPage(`${LOCAL}/v1/exits`)) as ExitsView;
  }

  /** The metrics page. */
  async metrics(): Promise<string> {
    return await getPage(`${METRICS}/metrics`);
  }

  /** Sum over all series of a metric; 0 where a known metric has none yet. */
  async metric(name: string): Promise<number> {
    const text = await this.metrics();
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
    if (!text.includes(`# TYPE ${name} `)) throw new Error(`no metric ${name}`);
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  pod(name: string, limitMs?: number): Promise<PodsView['pods'][number]> {
    return eventually(
      `pod ${name} has a slot`,
      async () => (await this.view()).pods.find((pod) => pod.pod === name),
      limitMs,
    );
  }

  /** Resident memory in MiB, from /proc. */
  residentMb(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  }

  /** @returns the exit code, or the signal's name. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    const ended = once(this.child, 'exit');
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill(signal);
      await ended;
    }
    return this.child.exitCode ?? this.child.signalCode ?? 'unknown';
  }
}
