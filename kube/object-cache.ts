/** What is known of the objects of one selection, and who is told when it changes. No I/O here. */
import { type JsonObject, keyOf, resourceVersionOf, uidOf } from './json.ts';

export interface ObjectHandler<T> {
  /** A new object, or one that changed. @param previous undefined where the handler does not know one. */
  onSet(key: string, object: T, previous: T | undefined): void;
  onDelete(key: string, object: T): void;
}

export interface CachedObject<T> {
  key: string;
  uid: string;
  version: string;
  object: T;
}

export interface Replacement {
  /** Versions of the objects that were new or different. */
  changed: string[];
  deleted: number;
}

/** @returns undefined for what has no name. @param project may throw. */
export const cachedObject = <T>(
  object: JsonObject,
  project: (object: JsonObject) => T,
): CachedObject<T> | undefined => {
  const key = keyOf(object);
  if (key === undefined) return undefined;
  const [uid, version] = [uidOf(object) ?? '', resourceVersionOf(object)];
  return { key, uid, version, object: project(object) };
};

/**
 * A handler that throws is told the same again with the next list, and takes nothing else down. An object that was
 * deleted and made anew under its name while nobody looked is a delete and a set.
 */
export class ObjectCache<T> {
  readonly #objects = new Map<string, CachedObject<T>>();
  readonly #handler: ObjectHandler<T>;
  readonly #onError: (error: unknown) => void;
  readonly #untold = new Set<string>();
  readonly #untoldDeletes = new Map<string, T>();

  constructor(handler: ObjectHandler<T>, onError: (error: unknown) => void) {
    this.#handler = handler;
    this.#onError = onError;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)?.object;
  }

  *values(): IterableIterator<T> {
    for (const { object } of this.#objects.values()) yield object;
  }

  /** @returns false where it was known already. */
  set(now: CachedObject<T>): boolean {
    const { key } = now;
    const known = this.#objects.get(key);
    const isSame = known?.uid === now.uid && known.version === now.version && now.version !== '';
    if (isSame && !this.#untold.has(key)) return false;
    if (known !== undefined && known.uid !== now.uid) this.#tellDelete(key, known.object);
    const previous = known?.uid === now.uid && !this.#untold.has(key) ? known.object : undefined;
    this.#objects.set(key, now);
    if (this.#owedDelete(key) && this.#tells(() => this.#handler.onSet(key, now.object, previous)))
      this.#untold.delete(key);
    else this.#untold.add(key);
    return true;
  }

  /** @returns false where it was not known. */
  delete(key: string): boolean {
    const known = this.#objects.get(key);
    if (known === undefined) return false;
    this.#objects.delete(key);
    this.#untold.delete(key);
    this.#tellDelete(key, known.object);
    return true;
  }

  /** @param all that there are now. */
  replace(all: readonly CachedObject<T>[]): Replacement {
    const keys = new Set(all.map(({ key }) => key));
    let deleted = 0;
    for (const key of this.#untoldDeletes.keys()) if (!keys.has(key)) this.#owedDelete(key);
    for (const key of [...this.#objects.keys()]) if (!keys.has(key) && this.delete(key)) deleted += 1;
    const changed: string[] = [];
    for (const now of all) if (this.set(now)) changed.push(now.version);
    return { changed, deleted };
  }

  /** @returns false where the handler still has to hear of a delete before it can hear of anything else. */
  #owedDelete(key: string): boolean {
    const owed = this.#untoldDeletes.get(key);
    if (owed !== undefined) this.#tellDelete(key, owed);
    return !this.#untoldDeletes.has(key);
  }

  #tellDelete(key: string, object: T): void {
    if (this.#tells(() => this.#handler.onDelete(key, object))) this.#untoldDeletes.delete(key);
    else this.#untoldDeletes.set(key, object);
  }

  #tells(tell: () => void): boolean {
    try {
      tell();
      return true;
    } catch (error) {
      this.#onError(error);
      return false;
    }
  }
}
