/** All targets of all sources, as they are now. */
import type { PodTarget, SourceError, Target, TargetSnapshot, TargetSource } from './pods/target.ts';

export interface NamedSource {
  /** For metrics and logs: config, pods-dir, kube. */
  name: string;
  source: TargetSource;
}

export class TargetStore {
  readonly #snapshots = new Map<string, TargetSnapshot>();
  #version = 0;
  #targets: Target[] = [];
  #paths = new Set<string>();

  /** Grows with every change. */
  get version(): number {
    return this.#version;
  }

  set(source: string, snapshot: TargetSnapshot): void {
    this.#version += 1;
    this.#snapshots.set(source, snapshot);
    this.#targets = [...this.#snapshots.values()].flatMap(({ targets }) => targets);
    this.#paths = new Set(this.#targets.flatMap((target) => (target.kind === 'path' ? [target.path] : [])));
  }

  /** What one source said last. */
  snapshotOf(source: string): TargetSnapshot | undefined {
    return this.#snapshots.get(source);
  }

  get targets(): readonly Target[] {
    return this.#targets;
  }

  /** Does a rule name this cgroup? */
  hasPath(path: string): boolean {
    return this.#paths.has(path);
  }

  /** Of a namespace, in per cent of the node's CPUs; the tightest where two sources name one. */
  reservationCapPercent(namespace: string): number | undefined {
    let least: number | undefined;
    for (const { reservationCaps } of this.#snapshots.values()) {
      const cap = reservationCaps?.get(namespace);
      if (cap !== undefined) least = Math.min(cap, least ?? cap);
    }
    return least;
  }

  *pods(): IterableIterator<PodTarget> {
    for (const target of this.#targets) if (target.kind === 'pod') yield target;
  }

  *errors(): IterableIterator<{ source: string; errors: readonly SourceError[] }> {
    for (const [source, { errors }] of this.#snapshots) yield { source, errors };
  }
}

const place = ({ file, line, column }: SourceError): string =>
  [file, line, column].filter((part) => part !== undefined).join(':');

export const errorText = (error: SourceError): string => `${place(error)}: ${error.message} (${error.code})`;
