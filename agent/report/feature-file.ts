/**
 * Labels of the Node by way of node-feature-discovery, so that the agent needs no right to change Nodes: a file in its
 * features.d, which its worker reads about once a minute.
 */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SerialRunner } from '../../kube/serial-runner.ts';
import type { NodeStatus, Reporter } from './reporter.ts';

const FILE = 'scx-slo';
/** After it the worker drops the labels (0.15 and newer): of a node whose agent is gone nothing is known. */
const EXPIRY_MS = 3 * 3_600_000;
const REFRESH_MS = 3_600_000;

export const featureText = ({ mode, canEnforce }: NodeStatus, expiresAt: Date): string =>
  [
    `# +expiry-time=${expiresAt.toISOString().replace(/\.[0-9]{3}Z$/, 'Z')}`,
    `scx-slo.io/capable=${canEnforce}`,
    `scx-slo.io/mode=${mode.mode}`,
    ...(mode.reason === undefined ? [] : [`scx-slo.io/reason=${mode.reason.code}`]),
    '',
  ].join('\n');

export class FeatureFile implements Reporter {
  readonly #directory: string;
  readonly #onFailure: (message: string | undefined) => void;
  readonly #runner = new SerialRunner(() => this.#write());
  #written = '';
  #writtenAtMs = 0;
  #told: string | undefined;
  #latest: NodeStatus | undefined;

  /** @param onFailure once for each change; undefined: it can be written again. */
  constructor(directory: string, onFailure: (message: string | undefined) => void) {
    this.#directory = directory;
    this.#onFailure = onFailure;
  }

  onStatus(status: NodeStatus): void {
    this.#latest = status;
    this.#runner.request();
  }

  /** The labels stay until they expire: an agent that is replaced would make them flap. */
  async stop(): Promise<void> {
    await this.#runner.idle();
  }

  async #write(): Promise<void> {
    const status = this.#latest;
    if (status === undefined) return;
    const content = featureText(status, new Date(0));
    const nowMs = Date.now();
    if (content === this.#written && nowMs - this.#writtenAtMs < REFRESH_MS) return;
    const problem = await this.#replace(featureText(status, new Date(nowMs + EXPIRY_MS)));
    if (problem === undefined) {
      this.#written = content;
      this.#writtenAtMs = nowMs;
    }
    if (problem !== this.#told) this.#onFailure(problem);
    this.#told = problem;
  }

  /** The worker reads no file whose name begins with a dot, and never a half one. */
  async #replace(text: string): Promise<string | undefined> {
    const temporary = join(this.#directory, `.${FILE}`);
    try {
      await writeFile(temporary, text, { mode: 0o644 });
      await rename(temporary, join(this.#directory, FILE));
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}
