/** Pods of this node and the namespaces' caps, from the API server. */
import { type ApiFailure, apiFailureText } from '../../kube/api-failure.ts';
import type { KubeConnection } from '../../kube/connection.ts';
import type { JsonObject } from '../../kube/json.ts';
import { Reflector, type ReflectorState } from '../../kube/reflector.ts';
import type { ReflectorTiming } from '../../kube/reflector-timing.ts';
import { Coalescer } from '../coalesce.ts';
import { apiNamespace, apiPod } from './api-pod.ts';
import { ApiPods } from './api-pods.ts';
import type { SourceError, SourceState, TargetSnapshot, TargetSource } from './target.ts';

const PODS = '/api/v1/pods';
const NAMESPACES = '/api/v1/namespaces';

export interface ApiSourceOptions {
  connection: KubeConnection;
  nodeName: string;
  /** A bug of ours: told, and the next pod is read. */
  onError: (error: unknown) => void;
  timing?: Partial<ReflectorTiming>;
}

interface Failing {
  failure: ApiFailure;
  sinceMs: number;
  /** Tells when it has lasted. */
  timer: NodeJS.Timeout;
}

/** Without an API server the agent measures all the same: it waits for the first list, or failure, no longer. */
const FIRST_LIST_MS = 5_000;
/** A stream of changes is handed on in steps: each one makes a plan. */
const GAP_MS = 20;
/** What passes within it (a server that restarts behind a load balancer) is nobody's problem. */
const LASTING_MS = 3_000;
/** Timers may be this much too early. */
const TIMER_EARLY_MS = 2;
/** Later pods may be missing. */
const STALE_MS = 60_000;

export class ApiSource implements TargetSource {
  readonly #options: ApiSourceOptions;
  readonly #pods: ApiPods;
  readonly #publisher = new Coalescer(() => this.#publish(), GAP_MS);
  readonly #podReflector: Reflector<JsonObject>;
  readonly #namespaceReflector: Reflector<JsonObject>;
  readonly #first = Promise.withResolvers<void>();
  /** By resource. */
  readonly #failing = new Map<string, Failing>();
  #onSnapshot: (snapshot: TargetSnapshot) => void = () => {};

  constructor(options: ApiSourceOptions) {
    this.#options = options;
    this.#pods = new ApiPods(options.nodeName);
    this.#podReflector = this.#reflector(PODS, {
      project: apiPod,
      fieldSelector: `spec.nodeName=${options.nodeName}`,
      onSet: (key, pod) => this.#pods.setPod(key, pod),
      onDelete: (key) => this.#pods.deletePod(key),
    });
    this.#namespaceReflector = this.#reflector(NAMESPACES, {
      project: apiNamespace,
      onSet: (name, annotations) => this.#pods.setNamespace(name, annotations),
      onDelete: (name) => this.#pods.setNamespace(name, undefined),
    });
  }

  async start(onSnapshot: (snapshot: TargetSnapshot) => void): Promise<void> {
    const timer = setTimeout(this.#first.resolve, FIRST_LIST_MS);
    const lists = Promise.all([this.#namespaceReflector.start(), this.#podReflector.start()]);
    await Promise.race([lists, this.#first.promise]);
    clearTimeout(timer);
    this.#onSnapshot = onSnapshot;
    this.#publish();
  }

  stop(): void {
    this.#publisher.stop();
    for (const { timer } of this.#failing.values()) clearTimeout(timer);
    for (const reflector of [this.#podReflector, this.#namespaceReflector])
      reflector.stop().catch(this.#options.onError);
  }

  state(): SourceState {
    const pods = this.#podReflector.state;
    return {
      problem: problemOf(pods),
      reflectors: { pods, namespaces: this.#namespaceReflector.state },
    };
  }

  #reflector(
    path: string,
    {
      project,
      fieldSelector,
      onSet,
      onDelete,
    }: {
      project: (object: JsonObject) => JsonObject;
      fieldSelector?: string;
      onSet: (key: string, object: JsonObject) => boolean;
      onDelete: (key: string) => boolean;
    },
  ): Reflector<JsonObject> {
    const { connection, timing, onError } = this.#options;
    const changed = (isNew: boolean): void => {
      if (isNew) this.#publisher.request();
    };
    return new Reflector<JsonObject>({
      ...{ connection, path, project, fieldSelector },
      ...(timing === undefined ? {} : { timing }),
      handler: {
        onSet: (key, object) => changed(onSet(key, object)),
        onDelete: (key) => changed(onDelete(key)),
        onFailure: (failure) => this.#onFailure(path, failure),
        onError,
      },
    });
  }

  #onFailure(path: string, failure: ApiFailure | undefined): void {
    const known = this.#failing.get(path);
    if (failure === undefined) {
      clearTimeout(known?.timer);
      this.#failing.delete(path);
      this.#publisher.request();
      return;
    }
    this.#first.resolve();
    const timer = known?.timer ?? setTimeout(() => this.#publisher.request(), LASTING_MS + TIMER_EARLY_MS);
    this.#failing.set(path, { failure, timer, sinceMs: known?.sinceMs ?? performance.now() });
    if (known !== undefined) this.#publisher.request();
  }

  #publish(): void {
    const snapshot = this.#pods.snapshot();
    const isPartial = !this.#podReflector.state.isSynced;
    this.#onSnapshot({ ...snapshot, isPartial, errors: [...this.#failureErrors(), ...snapshot.errors] });
  }

  #failureErrors(): SourceError[] {
    const lasting = [...this.#failing].filter(([, { sinceMs }]) => performance.now() - sinceMs >= LASTING_MS);
    return lasting.map(([path, { failure }]) => ({
      code: 'SLO_E_KUBE_API',
      file: `${this.#options.connection.server}${path}`,
      message: `${apiFailureText(failure)}; what is known stays`,
    }));
  }
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;

/** Why new pods may be missing, for /readyz. */
const problemOf = ({ isSynced, staleMs, failure }: ReflectorState): string | undefined => {
  const why = failure === undefined ? '' : `: ${apiFailureText(failure)}`;
  if (!isSynced) return `the pods of this node were never listed${why}`;
  return staleMs > STALE_MS ? `the pods of this node are ${seconds(staleMs)} old${why}` : undefined;
};
