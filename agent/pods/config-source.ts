/** `--config FILE`: the standalone rules, read again when the file changes. */
import { parseConfig } from '../../slo/config-file.ts';
import { fileSignature, readRegularFile } from './read-file.ts';
import type { PathTarget, SourceError, TargetSnapshot, TargetSource } from './target.ts';

/** 100,000 rules are 5 MB. */
const CONFIG_MAX_BYTES = 16 * 1024 * 1024;
/** A snapshot names this many bad lines and counts the others. */
const ERRORS_MAX = 100;

export interface ConfigSourceOptions {
  file: string;
  /** How often to look for a change. */
  pollMs?: number;
  /** A change counts when the file has looked the same for this long: it may still be being written. */
  settleMs?: number;
}

/**
 * Polls the file's identity, size and times, through symbolic links, so that a rename over it, a rewrite in place
 * and a swapped link all count. A file that cannot be read keeps the rules that hold and adds an error; its bad
 * lines cost only themselves. Each distinct answer is handed out once.
 */
export class ConfigSource implements TargetSource {
  readonly #file: string;
  readonly #pollMs: number;
  readonly #settleMs: number;
  #onSnapshot: (snapshot: TargetSnapshot) => void = () => {};
  #targets: PathTarget[] = [];
  #signature: string | undefined;
  #lastAnswer: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #stop = new AbortController();

  constructor(options: ConfigSourceOptions) {
    this.#file = options.file;
    this.#pollMs = options.pollMs ?? 500;
    this.#settleMs = options.settleMs ?? 100;
  }

  async start(onSnapshot: (snapshot: TargetSnapshot) => void): Promise<void> {
    this.#onSnapshot = onSnapshot;
    this.#signature = await fileSignature(this.#file);
    await this.#load();
    this.#schedule(this.#pollMs, this.#signature);
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number, lastSeen: string): void {
    if (!this.#stop.signal.aborted) {
      this.#timer = setTimeout(() => void this.#look(lastSeen), delayMs).unref();
    }
  }

  async #look(lastSeen: string): Promise<void> {
    const seen = await fileSignature(this.#file);
    if (seen === this.#signature) {
      this.#schedule(this.#pollMs, seen);
    } else if (seen !== lastSeen) {
      this.#schedule(this.#settleMs, seen);
    } else {
      this.#signature = seen;
      await this.#load();
      this.#schedule(this.#pollMs, seen);
    }
  }

  async #load(): Promise<void> {
    const file = this.#file;
    const content = await readRegularFile(file, CONFIG_MAX_BYTES);
    if ('problem' in content) {
      const kept = this.#targets.length === 0 ? '' : `; the ${this.#targets.length} rules that hold stay`;
      this.#publish([{ code: 'SLO_E_CONFIG_FILE', file, message: `${content.problem}${kept}` }]);
      return;
    }
    const { rules, errors } = parseConfig(content);
    this.#targets = rules.map(({ path, budgetMs, importance, line }) => ({
      kind: 'path',
      path,
      slo: { budgetMs, importance, shed: true, source: 'config', clamped: [] },
      line,
    }));
    const named: SourceError[] = errors.slice(0, ERRORS_MAX).map((error) => ({ ...error, file }));
    if (errors.length > ERRORS_MAX) {
      const message = `${errors.length - ERRORS_MAX} more bad lines`;
      named.push({ code: 'SLO_E_CONFIG_FILE', file, message });
    }
    this.#publish(named);
  }

  #publish(errors: SourceError[]): void {
    const snapshot: TargetSnapshot = { targets: [...this.#targets], errors };
    const answer = JSON.stringify(snapshot);
    if (!this.#stop.signal.aborted && answer !== this.#lastAnswer) {
      this.#lastAnswer = answer;
      this.#onSnapshot(snapshot);
    }
  }
}
