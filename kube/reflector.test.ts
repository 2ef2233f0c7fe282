/** Against a real HTTPS server on loopback that has the bad days of an API server. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EXPIRED, FakeKubeApi, type Fault, type SeenRequest, statusBody } from '../test/fakes/kube-api.ts';
import type { ApiFailure } from './api-failure.ts';
import { KubeConnection } from './connection.ts';
import type { JsonObject } from './json.ts';
import { Reflector, type ReflectorHandler } from './reflector.ts';
import type { ReflectorTiming } from './reflector-timing.ts';

const POD_PATH = '/api/v1/pods';
const FAST: ReflectorTiming = {
  backoffMinMs: 20,
  backoffMaxMs: 200,
  watchMs: 60_000,
  inactivityMs: 60_000,
  relistMs: 600_000,
  steadyMs: 10_000,
  shortMs: 1_000,
  pageSize: 500,
};

/** What the reflector said, and the copy that one makes who believes it. */
class Believer implements ReflectorHandler<JsonObject> {
  readonly copy = new Map<string, JsonObject>();
  readonly log: string[] = [];
  readonly failures: (ApiFailure | undefined)[] = [];
  readonly errors: unknown[] = [];
  lists = 0;

  onSet(key: string, object: JsonObject, previous: JsonObject | undefined): void {
    this.log.push(`${previous === undefined ? 'add' : 'change'} ${key}`);
    this.copy.set(key, object);
  }

  onDelete(key: string): void {
    this.log.push(`delete ${key}`);
    this.copy.delete(key);
  }

  onList(): void {
    this.lists += 1;
  }

  onFailure(failure: ApiFailure | undefined): void {
    this.failures.push(failure);
  }

  onError(error: unknown): void {
    this.errors.push(error);
  }
}

let api: FakeKubeApi;
let connection: KubeConnection;
let believer: Believer;
let reflector: Reflector<JsonObject> | undefined;

const pod = (name: string, more: Record<string, unknown> = {}) => ({
  kind: 'Pod',
  metadata: { name, namespace: 'shop' },
  spec: { nodeName: 'node-1' },
  ...more,
});

const start = async (
  timing: Partial<ReflectorTiming> = {},
  options: { fieldSelector?: string; labelSelector?: string; handler?: ReflectorHandler<JsonObject> } = {},
): Promise<Reflector<JsonObject>> => {
  reflector = new Reflector<JsonObject>({
    connection,
    path: POD_PATH,
    project: (object) => object,
    handler: believer,
    timing: { ...FAST, ...timing },
    ...options,
  });
  await reflector.start();
  return reflector;
};

const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 15_000, interval: 10 });

const untilWatched = () => eventually(() => expect(api.watchers).toBeGreaterThan(0));

/** The copy is what the server has. */
const untilTrue = () =>
  eventually(() => {
    const truth = api.store.list('pods').map((object) => [`shop/${object.metadata.name}`, object]);
    expect(believer.copy).toEqual(new Map(truth as [string, JsonObject][]));
  });

const faultsOf = (kind: SeenRequest['kind'], ...faults: Fault[]): void => {
  api.fault = (request) => (request.kind === kind ? faults.shift() : undefined);
};

beforeEach(async () => {
  api = await FakeKubeApi.start();
  connection = new KubeConnection(api.credentials());
  believer = new Believer();
});

afterEach(async () => {
  await reflector?.stop();
  reflector = undefined;
  connection.close();
  await api.close();
});

describe('a reflector on a good day', () => {
  it('lists, then watches from the version of the list', async () => {
    api.store.apply('pods', pod('cart'));
    const { state } = await start();
    expect(believer.log).toEqual(['add shop/cart']);
    expect(state).toMatchObject({ isSynced: true, objects: 1, lists: 1, staleMs: 0 });
    await untilWatched();
    expect(api.seen('list')[0]?.query.get('resourceVersion')).toBe('0');
    expect(api.seen('watch')[0]?.query.get('resourceVersion')).toBe(String(api.store.version));
    expect(api.seen('watch')[0]?.query.get('allowWatchBookmarks')).toBe('true');
  });

  it('hands on what is added, changed and deleted', async () => {
    await start();
    await untilWatched();
    api.store.apply('pods', pod('cart'));
    api.store.apply('pods', pod('cart', { status: { phase: 'Running' } }));
    api.store.apply('pods', pod('mail'));
    api.store.delete('pods', 'cart', 'shop');
    await eventually(() =>
      expect(believer.log).toEqual([
        'add shop/cart',
        'change shop/cart',
        'add shop/mail',
        'delete shop/cart',
      ]),
    );
    await untilTrue();
  });

  it('asks the server to select', async () => {
    api.store.apply('pods', pod('cart'));
    api.store.apply('pods', pod('elsewhere', { spec: { nodeName: 'node-2' } }));
    await start({}, { fieldSelector: 'spec.nodeName=node-1' });
    await untilWatched();
    api.store.apply('pods', pod('elsewhere-too', { spec: { nodeName: 'node-2' } }));
    api.store.apply('pods', pod('mail'));
    await eventually(() => expect([...believer.copy.keys()]).toEqual(['shop/cart', 'shop/mail']));
  });

  it('reads a list page by page', async () => {
    for (let i = 0; i < 25; i += 1) api.store.apply('pods', pod(`pod-${i}`));
    await start({ pageSize: 10 });
    expect(believer.copy.size).toBe(25);
    expect(api.seen('list')).toHaveLength(3);
  });

  it('reads the list in one piece when the server forgot the next page', async () => {
    for (let i = 0; i < 25; i += 1) api.store.apply('pods', pod(`pod-${i}`));
    api.fault = ({ query }) => (query.has('continue') ? { status: 410, body: EXPIRED } : undefined);
    await start({ pageSize: 10 });
    expect(believer.copy.size).toBe(25);
    expect(api.seen('list').at(-1)?.query.has('limit')).toBe(false);
  });

  it('resumes from a bookmark, without a new list', async () => {
    await start();
    await untilWatched();
    api.store.apply('namespaces', { metadata: { name: 'other' } });
    api.bookmark();
    api.endWatches();
    await eventually(() => expect(api.seen('watch').length).toBeGreaterThan(1));
    expect(api.seen('watch').at(-1)?.query.get('resourceVersion')).toBe(String(api.store.version));
    expect(api.seen('list')).toHaveLength(1);
    expect(believer.errors).toEqual([]);
  });

  it('is one reflector however often it is started', async () => {
    const running = await start();
    await Promise.all([running.start(), running.start()]);
    await untilWatched();
    expect(api.watchers).toBe(1);
    expect(api.seen('list')).toHaveLength(1);
  });

  it('opens no connection for each request', async () => {
    const faults = Array.from({ length: 8 }, () => ({ status: 500 }));
    faultsOf('watch', ...faults);
    await start({ backoffMaxMs: 20 });
    await untilWatched();
    expect(api.requests).toHaveLength(10);
    expect(api.connections).toBe(1);
    expect(connection.connectionsOpened).toBe(1);
  });
});

describe('a reflector on a bad day', () => {
  it.each([500, 429, 503])('goes on after status %i of a watch, with what it knows', async (status) => {
    api.store.apply('pods', pod('cart'));
    faultsOf('watch', { status }, { status }, { status });
    const { values } = await start().then((running) => ({ values: () => [...running.values()] }));
    expect(values()).toHaveLength(1);
    await untilWatched();
    api.store.apply('pods', pod('mail'));
    await untilTrue();
    expect(api.seen('list')).toHaveLength(1);
    expect(believer.failures.map((failure) => failure?.status)).toEqual([status, undefined]);
  });

  it('goes on after errors of the first list', async () => {
    api.store.apply('pods', pod('cart'));
    faultsOf(
      'list',
      { status: 500 },
      { status: 429 },
      { status: 403, body: statusBody(403, 'Forbidden', 'no') },
    );
    await start();
    await untilTrue();
    expect(believer.failures.map((failure) => failure?.status).slice(0, 3)).toEqual([500, 429, 403]);
  });

  it('does not come back before Retry-After', async () => {
    faultsOf('watch', { status: 429, headers: { 'Retry-After': '1' } });
    await start();
    await untilWatched();
    const [first, second] = api.seen('watch');
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(1000);
  });

  it('waits longer each time, while the server says 410 to every watch', async () => {
    api.fault = ({ kind }) => (kind === 'watch' ? { status: 410, body: EXPIRED } : undefined);
    await start();
    await eventually(() => expect(api.seen('list').length).toBeGreaterThan(4));
    const watches = api.seen('watch').map(({ atMs }) => atMs);
    const lists = api.seen('list').map(({ atMs }) => atMs);
    // Each list comes after the pause that the refused watch before it earned, not before.
    const pauses = lists.slice(1).map((atMs, i) => atMs - (watches[i] ?? 0));
    pauses.forEach((pauseMs, i) => {
      expect(pauseMs).toBeGreaterThanOrEqual(Math.min(200, 20 * 2 ** i) / 2 - 1);
    });
  });

  it('lists again after 410 inside a watch, and says what was deleted meanwhile', async () => {
    api.store.apply('pods', pod('cart'));
    api.store.apply('pods', pod('mail'));
    await start();
    await untilWatched();
    api.store.delete('pods', 'cart', 'shop', { isSilent: true });
    api.store.apply('pods', pod('new'), { isSilent: true });
    api.store.compact();
    api.sendRaw(`${JSON.stringify({ type: 'ERROR', object: JSON.parse(EXPIRED) })}\n`);
    await untilTrue();
    expect(believer.log.slice(2)).toEqual(['delete shop/cart', 'add shop/new']);
    expect(reflector?.state.repairs).toBe(0);
  });

  it('tells a pod that was made anew under its name as deleted and added', async () => {
    api.store.apply('pods', pod('cart', { metadata: { name: 'cart', namespace: 'shop', uid: 'old' } }));
    await start();
    await untilWatched();
    api.store.delete('pods', 'cart', 'shop', { isSilent: true });
    api.store.apply('pods', pod('cart', { metadata: { name: 'cart', namespace: 'shop', uid: 'new' } }));
    await untilTrue();
    expect(believer.log).toEqual(['add shop/cart', 'delete shop/cart', 'add shop/cart']);
  });

  it('isolates a handler that throws, and tells it again with the next list', async () => {
    let throws = true;
    const handler: ReflectorHandler<JsonObject> = {
      onSet: (key, object, previous) => {
        if (throws && key === 'shop/cart') throw new Error('not now');
        believer.onSet(key, object, previous);
      },
      onDelete: (key) => believer.onDelete(key),
      onError: (error) => {
        throws = false;
        believer.onError(error);
      },
    };
    const running = await start({ relistMs: 100 }, { handler });
    await untilWatched();
    api.store.apply('pods', pod('cart'));
    api.store.apply('pods', pod('mail'));
    await eventually(() => expect(believer.log).toEqual(['add shop/mail', 'add shop/cart']));
    expect(believer.errors).toHaveLength(1);
    expect(running.state.errors).toBe(1);
  });

  it('takes an unreadable token for a failure like any other', async () => {
    api.store.apply('pods', pod('cart'));
    await start();
    await untilWatched();
    rmSync(join(api.directory, 'token'));
    api.breakConnections();
    await eventually(() => expect(believer.failures.at(-1)?.failed).toBe('credentials'));
    writeFileSync(join(api.directory, 'token'), 'token-1');
    api.store.apply('pods', pod('mail'));
    await untilTrue();
  });

  it('takes a rotated token at once', async () => {
    await start();
    await untilWatched();
    api.tokens.add('token-2').delete('token-1');
    api.setToken('token-2');
    api.breakConnections();
    api.store.apply('pods', pod('cart'));
    await untilTrue();
    expect(believer.failures.some((failure) => failure?.status === 401)).toBe(false);
  });

  it('goes on when the token comes late', async () => {
    await start();
    await untilWatched();
    api.tokens.add('token-2').delete('token-1');
    api.breakConnections();
    await eventually(() => expect(believer.failures.at(-1)?.status).toBe(401));
    api.setToken('token-2');
    api.store.apply('pods', pod('cart'));
    await untilTrue();
  });

  it('opens no watch after it was stopped while it waited', async () => {
    api.fault = ({ kind }) =>
      kind === 'watch' ? { status: 500, headers: { 'Retry-After': '1' } } : undefined;
    const running = await start();
    await eventually(() => expect(api.seen('watch')).toHaveLength(1));
    await running.stop();
    api.fault = () => undefined;
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(api.seen('watch')).toHaveLength(1);
    expect(api.watchers).toBe(0);
  });

  it('stops in the middle of a watch and says nothing more', async () => {
    const running = await start();
    await untilWatched();
    await running.stop();
    await eventually(() => expect(api.watchers).toBe(0));
    expect(believer.failures.filter((failure) => failure !== undefined)).toEqual([]);
  });

  it('stops before its first list ends', async () => {
    api.fault = () => ({ status: 500 });
    const running = new Reflector({
      connection,
      path: POD_PATH,
      project: (o) => o,
      handler: believer,
      timing: FAST,
    });
    const started = running.start();
    await running.stop();
    await started;
    expect(running.state.isSynced).toBe(false);
  });

  it('takes a silent watch for dead, and lives on bookmarks', async () => {
    const running = await start({ inactivityMs: 150 });
    await untilWatched();
    const bookmarks = setInterval(() => api.bookmark(), 50);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(api.seen('watch')).toHaveLength(1);
    clearInterval(bookmarks);
    await eventually(() => expect(api.seen('watch').length).toBeGreaterThan(1));
    expect(believer.failures).toContainEqual(expect.objectContaining({ failed: 'timeout' }));
    expect(running.state.lists).toBe(1);
  });

  it('finds by a new list what the watch lost, and counts it', async () => {
    api.store.apply('pods', pod('cart'));
    const running = await start({ relistMs: 200 });
    await untilWatched();
    api.store.apply('pods', pod('lost'), { isSilent: true });
    api.store.delete('pods', 'cart', 'shop', { isSilent: true });
    api.store.apply('pods', pod('mail'));
    await untilTrue();
    expect(running.state.repairs).toBe(2);
  });

  it('survives a server that is killed and comes back', async () => {
    api.store.apply('pods', pod('cart'));
    const running = await start();
    await untilWatched();
    await api.kill();
    await eventually(() => expect(running.state.failure?.failed).toBe('network'));
    await eventually(() => expect(running.state.staleMs).toBeGreaterThan(0));
    expect(believer.copy.size).toBe(1);
    api.store.apply('pods', pod('mail'));
    await api.listen();
    await untilTrue();
    await eventually(() => expect(running.state.staleMs).toBe(0));
  });

  it('trusts a new authority from the next connection on', async () => {
    await start();
    await untilWatched();
    await api.rotateAuthority();
    api.breakConnections();
    api.store.apply('pods', pod('cart'));
    await untilTrue();
  });

  it.each([
    ['no JSON', 'not json\n'],
    ['no event', '{"type":"ADDED"}\n'],
    ['no object', '[]\n'],
    ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0x0a])],
  ])('lists again after a line that is %s', async (_, garbage) => {
    await start();
    await untilWatched();
    api.store.apply('pods', pod('lost'), { isSilent: true });
    api.sendRaw(garbage);
    await untilTrue();
    expect(believer.failures).toContainEqual(expect.objectContaining({ failed: 'protocol' }));
  });

  it('ignores events of a kind that it does not know, and objects without a name', async () => {
    await start();
    await untilWatched();
    api.sendRaw('{"type":"FROBNICATED","object":{}}\n{"type":"ADDED","object":{"metadata":{}}}\n\n');
    api.store.apply('pods', pod('cart'));
    await untilTrue();
    expect(believer.errors).toEqual([]);
  });

  it('asks for the newest list when the server does not know its version yet', async () => {
    api.store.apply('pods', pod('cart'));
    await start();
    await untilWatched();
    const tooLarge = statusBody(504, 'Timeout', 'Too large resource version: 99, current: 7');
    faultsOf('watch', { status: 504, body: tooLarge });
    api.endWatches();
    await eventually(() => expect(api.seen('list')).toHaveLength(2));
    expect(api.seen('list')[1]?.query.has('resourceVersion')).toBe(false);
  });

  it('does not hammer a server that ends each watch at once', async () => {
    await start();
    const ender = setInterval(() => api.endWatches(), 1);
    await new Promise((resolve) => setTimeout(resolve, 600));
    clearInterval(ender);
    expect(api.seen('watch').length).toBeLessThan(20);
  });
});
