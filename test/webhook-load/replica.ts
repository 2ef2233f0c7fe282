/** One replica of the webhook: a process of its own, with certificate files as a Secret volume has them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface ReplicaOptions {
  /** What starts a webhook, without its options. */
  command: readonly [string, ...string[]];
  certFile: string;
  keyFile: string;
  lameDuckSeconds: number;
  certificatePollSeconds: number;
}

const START_MS = 30_000;

export class Replica {
  readonly #child: ChildProcess;
  readonly port: number;
  readonly healthPort: number;

  private constructor(child: ChildProcess, port: number, healthPort: number) {
    this.#child = child;
    this.port = port;
    this.healthPort = healthPort;
  }

  /** Resolves when it listens. */
  static async start(options: ReplicaOptions): Promise<Replica> {
    const [program, ...first] = options.command;
    const argv = [
      ...first,
      ...['--cert', options.certFile, '--key', options.keyFile],
      ...['--host', '127.0.0.1', '--port', '0', '--health-port', '0', '--namespaces', 'off'],
      ...['--lame-duck', String(options.lameDuckSeconds)],
      ...['--certificate-poll', String(options.certificatePollSeconds)],
    ];
    const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    const end = (): void => void child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    const timer = setTimeout(end, START_MS);
    // Read to the end, or the pipe would fill and the replica wait.
    const lines = createInterface({ input: child.stdout });
    const ports = await new Promise<{ port: number; healthPort: number }>((resolve, reject) => {
      lines.on('line', (line) => {
        const entry = JSON.parse(line);
        if (entry.msg === 'serving') resolve(entry);
      });
      child.once('exit', (code) => reject(new Error(`the replica ended with ${code} before it served`)));
    });
    clearTimeout(timer);
    return new Replica(child, ports.port, ports.healthPort);
  }

  async isReady(): Promise<boolean> {
    return await fetch(`http://127.0.0.1:${this.healthPort}/readyz`).then(
      async (response) => {
        await response.arrayBuffer();
        return response.ok;
      },
      () => false,
    );
  }

  async metrics(): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.healthPort}/metrics`);
    return await response.text();
  }

  /** Resident set, bytes; NaN when it is gone. */
  rssBytes(): number {
    try {
      const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'))?.[1];
      return Number(kb) * 1024;
    } catch {
      return Number.NaN;
    }
  }

  /** As kubelet does. @returns the exit code, null after a kill */
  async terminate(): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
