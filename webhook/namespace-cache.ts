/** The view of namespaces that a watch keeps: what is needed of each, and how far it can be believed. */
import type { Logger } from 'pino';
import { type ApiFailure, apiFailureText } from '../kube/api-failure.ts';
import type { KubeConnection } from '../kube/connection.ts';
import { type JsonObject, objectOf } from '../kube/json.ts';
import { Reflector } from '../kube/reflector.ts';
import type { ReflectorTiming } from '../kube/reflector-timing.ts';
import { isOurKey } from '../slo/annotations.ts';
import { UID_RANGE_KEY } from './mutate.ts';
import type { NamespaceCacheState, NamespaceFacts, NamespaceView } from './namespace-view.ts';

/**
 * A watch that is broken for longer may have missed a cap that was lowered. An API server that restarts is back within
 * this; shorter would cry wolf at each.
 */
const STALE_AFTER_MS = 60_000;

export interface NamespaceCacheOptions {
  connection: KubeConnection;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
  staleAfterMs?: number;
  timing?: Partial<ReflectorTiming>;
}

export class NamespaceCache implements NamespaceView {
  readonly #reflector: Reflector<NamespaceFacts>;
  readonly #staleAfterMs: number;

  constructor({ connection, log, staleAfterMs = STALE_AFTER_MS, timing = {} }: NamespaceCacheOptions) {
    this.#staleAfterMs = staleAfterMs;
    this.#reflector = new Reflector({
      connection,
      path: '/api/v1/namespaces',
      project: factsOf,
      timing,
      handler: {
        onSet: () => {},
        onDelete: () => {},
        onFailure: (failure) => tellFailure(log, failure),
        onError: (error) =>
          log.error({ kind: error instanceof Error ? error.name : typeof error }, 'namespace'),
      },
    });
  }

  /** Resolves after the first list, or when stopped; nobody needs to wait for it. */
  start(): Promise<void> {
    return this.#reflector.start();
  }

  stop(): Promise<void> {
    return this.#reflector.stop();
  }

  get(name: string): NamespaceFacts | undefined {
    return this.#reflector.get(name);
  }

  state(): NamespaceCacheState {
    const { isSynced, staleMs } = this.#reflector.state;
    if (!isSynced) {
      return 'unsynced';
    }
    return staleMs > this.#staleAfterMs ? 'stale' : 'synced';
  }

  size(): number {
    return this.#reflector.state.objects;
  }
}

function tellFailure(log: NamespaceCacheOptions['log'], failure: ApiFailure | undefined): void {
  if (failure === undefined) {
    log.info('watching namespaces');
  } else {
    log.warn({ reason: apiFailureText(failure) }, 'the watch of namespaces is broken, trying again');
  }
}

/** Some kB of each namespace are not ours to keep. */
function factsOf(object: JsonObject): NamespaceFacts {
  const metadata = objectOf(object.metadata);
  const ours = (map: unknown): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(objectOf(map) ?? {}).filter(([key]) => isOurKey(key) || key === UID_RANGE_KEY),
    );
  return { annotations: ours(metadata?.annotations), labels: ours(metadata?.labels) };
}
