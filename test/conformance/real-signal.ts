/** The product's signal process and the agent's end of its socket, for one pod: callers from 127.0.0.1. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelPublisher } from '../../agent/signal/level-publisher.ts';
import type { SignalMessage } from '../../agent/signal/wire.ts';
import { podLevel, type SignalProcess, startSignal } from '../signal-process.ts';

const EVERY_MS = 50;

export class RealSignal {
  readonly messages: SignalMessage[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), 'scx-slo-signal-'));
  readonly #levels = join(this.#directory, 'levels.sock');
  readonly #publisher = new LevelPublisher(this.#levels, (message) => this.messages.push(message));
  #shed = 0;
  #ticks: NodeJS.Timeout | undefined;
  #process: SignalProcess | undefined;

  async start(): Promise<void> {
    await this.#publisher.start();
    this.#ticks = setInterval(() => {
      this.#publisher.publish([podLevel('me', ['127.0.0.1'], this.#shed)], performance.now());
    }, EVERY_MS);
    this.#process = await startSignal({ levels: this.#levels });
  }

  get port(): number {
    return this.#process?.port ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  set(shed: number): void {
    this.#shed = shed;
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticks);
    await this.#process?.stop();
    this.#publisher.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
