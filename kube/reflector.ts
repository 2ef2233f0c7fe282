/**
 * Keeps a copy of one selection of objects: a list, then a watch from its version on, for ever. What client-go calls
 * a reflector; the faults that it must outlive are its tests.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ApiFailure,
  apiFailure,
  failureOfStatus,
  isApiFailure,
  isExpired,
  isVersionTooLarge,
} from './api-failure.ts';
import type { ApiStream } from './api-stream.ts';
import { Backoff } from './backoff.ts';
import type { KubeConnection } from './connection.ts';
import { type JsonObject, keyOf, resourceVersionOf } from './json.ts';
import { type ListRequest, listAll, type Selection } from './list.ts';
import { type CachedObject, cachedObject, ObjectCache, type ObjectHandler } from './object-cache.ts';
import { DEFAULT_TIMING, jittered, type ReflectorTiming } from './reflector-timing.ts';
import { type WatchFrame, WatchFrames } from './watch-frames.ts';

export interface ReflectorHandler<T> extends ObjectHandler<T> {
  /** After each list, when all of its objects were told. */
  onList?(): void;
  /** Once for each change: undefined when the watch runs again, else why it does not. */
  onFailure?(failure: ApiFailure | undefined): void;
  /** A handler, or `project`, threw. */
  onError(error: unknown): void;
}

export interface ReflectorOptions<T> extends Selection {
  connection: KubeConnection;
  /** What is kept of an object: the less, the less memory. May throw: the object is left out. */
  project: (object: JsonObject) => T;
  handler: ReflectorHandler<T>;
  timing?: Partial<ReflectorTiming>;
  /** 0 <= x < 1. */
  random?: () => number;
}

export interface ReflectorState {
  /** There was a list. */
  isSynced: boolean;
  /** How long the copy may have been wrong, milliseconds: 0 while the watch runs. */
  staleMs: number;
  failure: ApiFailure | undefined;
  objects: number;
  lists: number;
  watches: number;
  /** Changes that only a periodic list found, the watch should have told them. */
  repairs: number;
  /** Handlers that threw. */
  errors: number;
}

const RELIST = apiFailure('stopped', 'time for a new list');
const ENDED_AT_ONCE = apiFailure('protocol', 'the watch ended as soon as it began');

/** Versions are opaque by their first contract; all servers make them decimal numbers that grow (KEP-5504). */
const isNotNewer = (version: string, than: string): boolean =>
  /^[0-9]+$/.test(version) && /^[0-9]+$/.test(than) && BigInt(version) <= BigInt(than);

export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #timing: ReflectorTiming;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #cache: ObjectCache<T>;
  readonly #ending = new AbortController();
  readonly #synced = Promise.withResolvers<void>();
  #loop: Promise<void> | undefined;
  /** Of the last list, event or bookmark. */
  #version = '0';
  #next: 'list' | 'repair' | 'watch' = 'list';
  #isSynced = false;
  #failure: ApiFailure | undefined;
  #toldFailure = '';
  #contactMs = performance.now();
  #listDueMs = 0;
  #lists = 0;
  #watches = 0;
  #repairs = 0;
  #errors = 0;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#random = options.random ?? Math.random;
    const { backoffMinMs, backoffMaxMs } = this.#timing;
    this.#backoff = new Backoff({ minMs: backoffMinMs, maxMs: backoffMaxMs, random: this.#random });
    this.#cache = new ObjectCache(options.handler, (error) => this.#tellError(error));
  }

  /** Begins; a second call changes nothing. Resolves after the first list, or when stopped. */
  start(): Promise<void> {
    if (this.#loop === undefined && !this.#ending.signal.aborted) {
      this.#contactMs = performance.now();
      this.#loop = this.#run();
    }
    return this.#synced.promise;
  }

  /** Ends a sleep, a request and a stream alike; resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#ending.abort();
    this.#synced.resolve();
    await this.#loop;
  }

  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  values(): IterableIterator<T> {
    return this.#cache.values();
  }

  get state(): ReflectorState {
    return {
      isSynced: this.#isSynced,
      staleMs: this.#failure === undefined && this.#isSynced ? 0 : performance.now() - this.#contactMs,
      failure: this.#failure,
      objects: this.#cache.size,
      lists: this.#lists,
      watches: this.#watches,
      repairs: this.#repairs,
      errors: this.#errors,
    };
  }

  get #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      const failure = (this.#next === 'watch' ? undefined : await this.#list()) ?? (await this.#watch());
      if (failure === undefined || this.#isEnding) continue;
      this.#tellFailure(failure);
      const delayMs = this.#backoff.nextMs(failure.retryAfterMs);
      await sleep(delayMs, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
  }

  async #list(): Promise<ApiFailure | undefined> {
    const { connection, path, fieldSelector, labelSelector } = this.#options;
    const before = this.#version;
    const request: ListRequest = {
      ...{ path, fieldSelector, labelSelector },
      resourceVersion: before,
      pageSize: this.#timing.pageSize,
      signal: this.#ending.signal,
    };
    const listed = await listAll(connection, request, (object) => this.#cached(object));
    if (this.#isEnding) return undefined;
    if (isApiFailure(listed)) {
      // Only the newest is sure to be known to a server that forgot, or never knew, what we saw.
      if (isExpired(listed) || isVersionTooLarge(listed)) this.#version = '';
      this.#next = 'list';
      return listed;
    }
    if (listed.resourceVersion === '') return apiFailure('protocol', 'the list says no resourceVersion');
    this.#contactMs = performance.now();
    this.#lists += 1;
    this.#version = listed.resourceVersion;
    this.#listDueMs = this.#contactMs + jittered(this.#timing.relistMs, this.#random);
    const { changed, deleted } = this.#cache.replace(listed.items);
    if (this.#next === 'repair')
      this.#repairs += deleted + changed.filter((version) => isNotNewer(version, before)).length;
    this.#next = 'watch';
    this.#isSynced = true;
    this.#guarded(() => this.#options.handler.onList?.());
    this.#synced.resolve();
    return undefined;
  }

  async #watch(): Promise<ApiFailure | undefined> {
    if (this.#isEnding) return undefined;
    const { connection, path, fieldSelector, labelSelector } = this.#options;
    const stream = await connection.stream({
      path,
      query: {
        ...{ fieldSelector, labelSelector },
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: this.#version,
        timeoutSeconds: Math.ceil(jittered(this.#timing.watchMs, this.#random) / 1000),
      },
      signal: this.#ending.signal,
    });
    if (isApiFailure(stream)) {
      this.#forget(stream);
      return stream;
    }
    this.#watches += 1;
    const openedMs = performance.now();
    this.#contactMs = openedMs;
    this.#tellFailure(undefined);
    const { failure, frames } = await this.#follow(stream);
    const livedMs = performance.now() - openedMs;
    if (failure === RELIST) {
      this.#next = 'repair';
      return undefined;
    }
    if (livedMs >= this.#timing.steadyMs) this.#backoff.reset();
    if (failure !== undefined) this.#forget(failure);
    const endedAtOnce = frames === 0 && livedMs < this.#timing.shortMs;
    return failure ?? (endedAtOnce ? ENDED_AT_ONCE : undefined);
  }

  /** What the server says of our version may mean that only a list goes on from here. */
  #forget(failure: ApiFailure): void {
    const isTooLarge = isVersionTooLarge(failure);
    if (isTooLarge) this.#version = '';
    if (isTooLarge || isExpired(failure) || failure.failed === 'protocol') this.#next = 'list';
  }

  async #follow(stream: ApiStream): Promise<{ failure: ApiFailure | undefined; frames: number }> {
    const parser = new WatchFrames();
    let frames = 0;
    const stopGuard = this.#guard(stream);
    const failure = await stream.read((chunk) => {
      this.#contactMs = performance.now();
      for (const frame of parser.take(chunk)) {
        if (frame.type === 'ERROR') {
          stream.end(failureOfStatus(frame.object, { message: 'the watch ended with an error' }));
          return;
        }
        frames += 1;
        this.#backoff.reset();
        this.#onFrame(frame);
      }
    });
    stopGuard();
    return { failure, frames };
  }

  /** Ends a stream that nothing comes from any more, and one whose time for a new list has come. */
  #guard(stream: ApiStream): () => void {
    const { inactivityMs } = this.#timing;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const nextMs = Math.min(this.#contactMs + inactivityMs, this.#listDueMs) - performance.now();
      timer = setTimeout(look, Math.max(1, nextMs));
    };
    const look = (): void => {
      const nowMs = performance.now();
      if (nowMs >= this.#listDueMs) stream.end(RELIST);
      else if (nowMs - this.#contactMs >= inactivityMs)
        stream.end(apiFailure('timeout', `the watch was silent for ${inactivityMs} ms, without a bookmark`));
      else arm();
    };
    arm();
    return () => clearTimeout(timer);
  }

  #onFrame({ type, object }: WatchFrame): void {
    const version = resourceVersionOf(object);
    if (type === 'ADDED' || type === 'MODIFIED') {
      const cached = this.#cached(object);
      if (cached !== undefined) this.#cache.set(cached);
    } else if (type === 'DELETED') {
      const key = keyOf(object);
      if (key !== undefined) this.#cache.delete(key);
    } else if (type !== 'BOOKMARK') {
      return;
    }
    if (version !== '') this.#version = version;
  }

  #cached(object: JsonObject): CachedObject<T> | undefined {
    try {
      return cachedObject(object, this.#options.project);
    } catch (error) {
      this.#tellError(error);
      return undefined;
    }
  }

  #tellFailure(failure: ApiFailure | undefined): void {
    this.#failure = failure;
    const text = failure === undefined ? '' : `${failure.failed} ${failure.status ?? ''} ${failure.message}`;
    if (text === this.#toldFailure) return;
    this.#toldFailure = text;
    this.#guarded(() => this.#options.handler.onFailure?.(failure));
  }

  #guarded(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#tellError(error);
    }
  }

  #tellError(error: unknown): void {
    this.#errors += 1;
    this.#options.handler.onError(error);
  }
}
