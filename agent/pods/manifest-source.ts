/** `--pods-dir DIR`: pod manifests in a directory, as kubelet reads static pods; read again when they change. */
import { type FSWatcher, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { settleConflicts } from './pod-conflicts.ts';
import { type ManifestPod, type ParsedManifest, parseManifest } from './pod-manifest.ts';
import { errnoText, fileSignature, readRegularFile } from './read-file.ts';
import type { SourceError, TargetSnapshot, TargetSource } from './target.ts';

const MANIFEST_MAX_BYTES = 1024 * 1024;
/** A node runs some hundred pods; this many files are somebody's mistake. */
const FILES_MAX = 2000;
const MANIFEST_NAME = /^[^.].*\.(yaml|yml|json)$/;

export interface ManifestSourceOptions {
  directory: string;
  /** Whose mirror pods count; without it the node that each pod names. */
  nodeName?: string;
  /** Between a change and the look at it: an editor makes several. */
  debounceMs?: number;
  /** Looks even when the kernel reported no change: watches can run out, and miss what a symbolic link points at. */
  rescanMs?: number;
}

interface KnownFile extends Pick<ParsedManifest, 'pods' | 'errors'> {
  signature: string;
}

/**
 * A file that became unreadable, or is no YAML any more, keeps the pods that it had and adds an error; a file that
 * is gone takes its pods with it. Each distinct answer is handed out once.
 */
export class ManifestSource implements TargetSource {
  readonly #options: ManifestSourceOptions;
  readonly #debounceMs: number;
  readonly #rescanMs: number;
  #onSnapshot: (snapshot: TargetSnapshot) => void = () => {};
  #files = new Map<string, KnownFile>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** `debouncing`: a look is due soon, so that a stream of changes cannot put it off for ever. */
  #state: 'waiting' | 'debouncing' | 'scanning' | 'scanning again' | 'stopped' = 'waiting';
  #lastAnswer: string | undefined;

  constructor(options: ManifestSourceOptions) {
    this.#options = options;
    this.#debounceMs = options.debounceMs ?? 100;
    this.#rescanMs = options.rescanMs ?? 1000;
  }

  async start(onSnapshot: (snapshot: TargetSnapshot) => void): Promise<void> {
    this.#onSnapshot = onSnapshot;
    await this.#scan();
  }

  stop(): void {
    this.#state = 'stopped';
    clearTimeout(this.#timer);
    this.#unwatch();
  }

  async #scan(): Promise<void> {
    this.#state = 'scanning';
    this.#watch();
    const errors = await this.#readDirectory();
    // Read through a method: the state may have changed while this waited.
    const state = this.#stateNow();
    if (state === 'stopped') {
      return;
    }
    this.#publish(errors);
    this.#schedule(state === 'scanning again' ? 'debouncing' : 'waiting');
  }

  #stateNow() {
    return this.#state;
  }

  #schedule(state: 'waiting' | 'debouncing'): void {
    this.#state = state;
    clearTimeout(this.#timer);
    const delayMs = state === 'waiting' ? this.#rescanMs : this.#debounceMs;
    this.#timer = setTimeout(() => void this.#scan(), delayMs).unref();
  }

  #watch(): void {
    if (this.#watcher !== undefined) {
      return;
    }
    try {
      this.#watcher = watch(this.#options.directory, { persistent: false }, () => this.#changed());
      this.#watcher.on('error', () => this.#unwatch());
    } catch {
      // No directory yet, or no watches left on this node: the next rescan tries again.
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #changed(): void {
    if (this.#state === 'waiting') {
      this.#schedule('debouncing');
    } else if (this.#state === 'scanning') {
      this.#state = 'scanning again';
    }
  }

  /** @returns errors of the directory itself; those of files are kept with the files */
  async #readDirectory(): Promise<SourceError[]> {
    const { directory } = this.#options;
    let names: string[];
    try {
      names = (await readdir(directory)).filter((name) => MANIFEST_NAME.test(name)).sort();
    } catch (error) {
      // A directory that comes back is another one: its watch is gone.
      this.#unwatch();
      return [{ code: 'SLO_E_PODS_DIR', file: directory, message: `${errnoText(error)}; known pods stay` }];
    }
    const files = new Map<string, KnownFile>();
    for (const name of names.slice(0, FILES_MAX)) {
      const file = join(directory, name);
      files.set(file, await this.#readFile(file, this.#files.get(file)));
    }
    this.#files = files;
    const message = `${names.length} manifests, more than the ${FILES_MAX} allowed; the last by name are left out`;
    return names.length > FILES_MAX ? [{ code: 'SLO_E_PODS_DIR', file: directory, message }] : [];
  }

  async #readFile(file: string, known: KnownFile | undefined): Promise<KnownFile> {
    const signature = await fileSignature(file);
    if (known?.signature === signature) {
      return known;
    }
    const before = known?.pods ?? [];
    const kept = before.length === 0 ? '' : '; its pods stay as they were';
    const content = await readRegularFile(file, MANIFEST_MAX_BYTES);
    if ('problem' in content) {
      const message = `${content.problem}${kept}`;
      return { signature, pods: before, errors: [{ code: 'SLO_E_MANIFEST', file, message }] };
    }
    const text = decode(content);
    if (text === undefined) {
      const message = `is not UTF-8 text${kept}`;
      return { signature, pods: before, errors: [{ code: 'SLO_E_MANIFEST', file, message }] };
    }
    const { pods, errors, isBroken } = parseManifest(text, file, this.#options.nodeName);
    return { signature, pods: isBroken ? merge(pods, before) : pods, errors };
  }

  #publish(directoryErrors: readonly SourceError[]): void {
    const files = [...this.#files.values()];
    const { pods, errors } = settleConflicts(files.flatMap((file) => file.pods));
    const snapshot: TargetSnapshot = {
      targets: pods.map((pod) => pod.target),
      errors: [...directoryErrors, ...files.flatMap((file) => file.errors), ...errors],
    };
    const answer = JSON.stringify(snapshot);
    if (answer !== this.#lastAnswer) {
      this.#lastAnswer = answer;
      this.#onSnapshot(snapshot);
    }
  }
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** What a broken file still says wins over what it said before. */
function merge(now: readonly ManifestPod[], before: readonly ManifestPod[]): ManifestPod[] {
  const uids = new Set(now.map((pod) => pod.target.uid));
  return [...now, ...before.filter((pod) => !uids.has(pod.target.uid))];
}
