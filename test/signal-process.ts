/** The signal process as itself, for tests: started, spoken to over its sockets, killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodLevel } from '../agent/shed/feed.ts';

const PROGRAM = join(import.meta.dirname, '../agent/signal/main.ts');
const START_LIMIT_MS = 15_000;

export interface SignalProcess {
  child: ChildProcess;
  port: number;
  healthPort: number;
  /** Its log, one object a line. */
  log: readonly { msg: string }[];
  /** Resident memory, MiB. */
  rssMiB(): number;
  stop(): Promise<void>;
}

export interface StartOptions {
  levels: string;
  host?: string;
  flags?: readonly string[];
  /** Another way to start it, for example in a network namespace: the words before `node`. */
  prefix?: readonly string[];
  /** Default: the sources, so that a test needs no build. */
  program?: string;
}

export const startSignal = async (options: StartOptions): Promise<SignalProcess> => {
  const { levels, host = '127.0.0.1', flags = [], prefix = [], program = PROGRAM } = options;
  const listen = ['--listen', `${host}:0`, '--health', `${host}:0`];
  const words = [...prefix, process.execPath, program, '--levels', levels, ...listen, ...flags];
  const [command = '', ...argv] = words;
  const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  const log: { msg: string; port?: number; health?: number; pid?: number }[] = [];
  let text = '';
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) log.push(JSON.parse(line));
  });
  const startedMs = performance.now();
  for (;;) {
    const started = log.find(({ msg }) => msg === 'started');
    if (started !== undefined) {
      return {
        child,
        port: started.port ?? 0,
        healthPort: started.health ?? 0,
        log,
        rssMiB: () =>
          Number(/^VmRSS:\s+([0-9]+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1]) /
          1_024,
        stop: async () => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          child.kill('SIGTERM');
          await once(child, 'exit');
        },
      };
    }
    if (child.exitCode !== null || performance.now() - startedMs > START_LIMIT_MS) {
      child.kill('SIGKILL');
      throw new Error(`the signal process did not start: ${errors} ${JSON.stringify(log)}`);
    }
    await sleep(20);
  }
};

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface CallOptions {
  method?: string;
  /** Source address. */
  from?: string;
  headers?: Record<string, string>;
  body?: string;
  socketPath?: string;
}

/** One request on a connection of its own. */
export const call = (port: number, path: string, options: CallOptions = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { method = 'GET', from = '127.0.0.2', headers = {}, body, socketPath } = options;
    const where = socketPath === undefined ? { host: '127.0.0.1', port, localAddress: from } : { socketPath };
    const request = httpRequest({ ...where, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      });
    });
    request.on('error', reject);
    request.end(body);
  });

/** A connection that bytes are written into as they are. */
export const open = async (port: number, from = '127.0.0.2'): Promise<Socket> => {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
};

/** Writes the bytes and takes all that comes until the other side ends. */
export const exchange = async (port: number, bytes: string | Buffer, from = '127.0.0.2'): Promise<string> => {
  const socket = await open(port, from);
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.write(bytes);
  await ended;
  return text;
};

export const until = async (what: string, condition: () => boolean | Promise<boolean>, limitMs = 10_000) => {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(20);
  }
};

/** What the controller might say of a pod. */
export const podLevel = (uid: string, podIps: readonly string[], shedRatio: number): PodLevel => ({
  key: `pod/${uid}`,
  podUid: uid,
  podIps,
  importance: 50,
  shedRatio,
  computedRatio: shedRatio,
  state: shedRatio > 0 ? 'shedding' : 'ok',
  reason: `severity 3.00 of ${uid}`,
  inputs: {
    budgetMs: 50,
    waitP95Ms: 31.5,
    missRatio: 0.04,
    pressure: 0.7,
    throttled: 0,
    queueWaitMs: null,
    severity: 3,
    nodeBusy: 0.987,
    demandCpus: 1.5,
  },
});
