/**
 * What the webhook knows of namespaces when a request comes: their caps, defaults and opt-out, from memory alone.
 * No request ever waits for the API server that sent it.
 */

/**
 * - `off`: nobody watches (no API server was given); the built-in caps hold everywhere
 * - `unsynced`: the first list has not come yet
 * - `stale`: there was one, but the watch has been broken for longer than it may
 */
export type NamespaceCacheState = 'off' | 'unsynced' | 'synced' | 'stale';

export const NAMESPACE_CACHE_STATES: readonly NamespaceCacheState[] = ['off', 'unsynced', 'synced', 'stale'];

/** Any JSON may stand where a string belongs: readers check. */
export interface NamespaceFacts {
  annotations: Readonly<Record<string, unknown>>;
  labels: Readonly<Record<string, unknown>>;
}

export interface NamespaceView {
  /** undefined: not known (yet). */
  get(name: string): NamespaceFacts | undefined;
  state(): NamespaceCacheState;
  /** Namespaces in memory. */
  size(): number;
}

export const NO_NAMESPACES: NamespaceView = { get: () => undefined, state: () => 'off', size: () => 0 };
