// One QEMU process: its two serial ports read line by line, its end by itself or by the time limit.
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Machine, qemuArguments } from './qemu.ts';

export interface QemuWatch {
  readonly timeoutSeconds: number;
  readonly onLine: (line: string) => void;
  readonly onConsole?: (line: string) => void;
  /** Receives the lines of both serial ports, and QEMU's own errors, in the order in which they arrive. */
  readonly logFile: string;
}

export interface EndedQemu {
  readonly lastLines: readonly string[];
  readonly timedOut: boolean;
  /** The line of a kernel panic. */
  readonly panic: string | undefined;
  readonly status: string;
}

const keptLines = 60;
const commandFd = 3;

export async function runQemu(machine: Machine, watch: QemuWatch): Promise<EndedQemu> {
  // pdeathsig: QEMU ends with this process, even after SIGKILL.
  const words = ['--pdeathsig', 'KILL', machine.assets.qemu, ...qemuArguments(machine, commandFd)];
  const child = spawn('setpriv', words, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const unguard = endWithThisProcess(child);

  const log = createWriteStream(watch.logFile);
  const lastLines: string[] = [];
  let panic: string | undefined;
  let timedOut = false;
  const follow = async (stream: unknown, onLine: (line: string) => void): Promise<void> => {
    for await (const raw of createInterface({ input: stream as Readable })) {
      const line = raw.replaceAll('\r', '');
      log.write(`${line}\n`);
      if (lastLines.push(line) > keptLines) lastLines.shift();
      onLine(line);
    }
  };
  const onConsole = (line: string): void => {
    if (line.includes('Kernel panic')) panic ??= line.trim();
    watch.onConsole?.(line);
  };
  const limit = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, watch.timeoutSeconds * 1000);

  const [status] = await Promise.all([
    exitStatus(child),
    follow(child.stdio[1], onConsole),
    follow(child.stdio[2], (line) => process.stderr.write(`qemu: ${line}\n`)),
    follow(child.stdio[commandFd], watch.onLine),
  ]);
  clearTimeout(limit);
  unguard();
  await new Promise<void>((resolve) => log.end(resolve));
  return { lastLines, timedOut, panic, status };
}

function exitStatus(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit ${code}`));
  });
}

/** Ends QEMU when this process is told to end; returns how to take that back. */
function endWithThisProcess(child: ChildProcess): () => void {
  const kill = (): void => void child.kill('SIGKILL');
  const onSignal = (signal: NodeJS.Signals): void => process.exit(signal === 'SIGINT' ? 130 : 143);
  process.once('exit', kill);
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  return () => {
    process.removeListener('exit', kill);
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
  };
}
