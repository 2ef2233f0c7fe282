/**
 * What an API server keeps: objects by resource, one version counter over all, and the history that watches read. As
 * much of the contract as a reflector can see; the real server is in test/kube.
 */
import { EventEmitter } from 'node:events';

export interface StoredObject {
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    annotations?: Record<string, string>;
    labels?: Record<string, string>;
    [field: string]: unknown;
  };
  [field: string]: unknown;
}

export interface StoredEvent {
  version: number;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: StoredObject;
}

export interface Selector {
  fields: ReadonlyMap<string, string>;
  labels: ReadonlyMap<string, string>;
}

const keyOf = ({ metadata: { namespace, name } }: StoredObject): string => `${namespace ?? ''}/${name}`;

const fieldOf = (object: unknown, path: string): unknown =>
  path
    .split('.')
    .reduce<unknown>((value, field) => (value as Record<string, unknown> | undefined)?.[field], object);

const parsePairs = (text: string | null): Map<string, string> =>
  new Map(
    (text ?? '')
      .split(',')
      .filter((pair) => pair !== '')
      .map((pair) => pair.split(/==?/, 2) as [string, string]),
  );

export const parseSelector = (query: URLSearchParams): Selector => ({
  fields: parsePairs(query.get('fieldSelector')),
  labels: parsePairs(query.get('labelSelector')),
});

export const selects = ({ fields, labels }: Selector, object: StoredObject): boolean =>
  [...fields].every(([path, value]) => fieldOf(object, path) === value) &&
  [...labels].every(([name, value]) => object.metadata.labels?.[name] === value);

/** Emits `event` (resource, StoredEvent). */
export class KubeStore extends EventEmitter {
  version = 1000;
  /** Watches from an older version get 410. */
  oldestVersion = 0;
  readonly #objects = new Map<string, Map<string, StoredObject>>();
  readonly #history = new Map<string, StoredEvent[]>();
  #uids = 0;

  list(resource: string): StoredObject[] {
    return [...(this.#objects.get(resource)?.values() ?? [])];
  }

  get(resource: string, name: string, namespace = ''): StoredObject | undefined {
    return this.#objects.get(resource)?.get(`${namespace}/${name}`);
  }

  /** Events after a version, oldest first. */
  since(resource: string, version: number): StoredEvent[] {
    return (this.#history.get(resource) ?? []).filter((event) => event.version > version);
  }

  /** @param isSilent watchers do not hear of it: a watch that loses events. */
  apply(resource: string, object: StoredObject, { isSilent = false } = {}): StoredObject {
    const objects = this.#objects.get(resource) ?? new Map<string, StoredObject>();
    this.#objects.set(resource, objects);
    const known = objects.get(keyOf(object));
    const uid = object.metadata.uid ?? known?.metadata.uid ?? this.#newUid();
    const stored = this.#stamped({ ...object, metadata: { ...object.metadata, uid } });
    objects.set(keyOf(object), stored);
    if (!isSilent) this.#happened(resource, known === undefined ? 'ADDED' : 'MODIFIED', stored);
    return stored;
  }

  delete(resource: string, name: string, namespace = '', { isSilent = false } = {}): void {
    const objects = this.#objects.get(resource);
    const known = objects?.get(`${namespace}/${name}`);
    if (known === undefined) throw new Error(`no ${resource} ${namespace}/${name}`);
    objects?.delete(`${namespace}/${name}`);
    if (!isSilent) this.#happened(resource, 'DELETED', this.#stamped(known));
  }

  /** The server forgets the history, as etcd does when it compacts. */
  compact(): void {
    this.#history.clear();
    this.oldestVersion = this.version;
  }

  #newUid(): string {
    this.#uids += 1;
    return `uid-${this.#uids}`;
  }

  #stamped(object: StoredObject): StoredObject {
    this.version += 1;
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.version) } };
  }

  #happened(resource: string, type: StoredEvent['type'], object: StoredObject): void {
    const event = { version: Number(object.metadata.resourceVersion), type, object };
    const history = this.#history.get(resource) ?? [];
    history.push(event);
    this.#history.set(resource, history);
    this.emit('event', resource, event);
  }
}
