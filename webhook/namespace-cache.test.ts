/** Against a real HTTPS server on loopback that behaves as an API server, on its bad days too. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubeConnection } from '../kube/connection.ts';
import { FakeKubeApi } from '../test/fakes/kube-api.ts';
import type { AdmissionRequest } from './admission-review.ts';
import { hasNativeSidecars } from './cluster.ts';
import { DEFAULT_POLICY, mutate } from './mutate.ts';
import { NamespaceCache } from './namespace-cache.ts';

const STALE_AFTER_MS = 200;
const CAP = 'caps.scx-slo.io/max-importance';

let api: FakeKubeApi;
let connection: KubeConnection;
let cache: NamespaceCache;
const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };

beforeEach(async () => {
  vi.clearAllMocks();
  api = await FakeKubeApi.start();
  connection = new KubeConnection(api.credentials());
  const timing = { backoffMinMs: 20, backoffMaxMs: 100 };
  cache = new NamespaceCache({ connection, log, staleAfterMs: STALE_AFTER_MS, timing });
});

afterEach(async () => {
  await cache.stop();
  connection.close();
  await api.close();
});

const put = (name: string, annotations: Record<string, string>, labels: Record<string, string> = {}) =>
  api.store.apply('namespaces', { metadata: { name, annotations, labels } });

const importanceIn = (namespace: string): { recorded: unknown; warnings: string[] } => {
  const request: AdmissionRequest = {
    uid: 'u',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    operation: 'CREATE',
    namespace,
    object: { metadata: { annotations: { 'scx-slo.io/importance': '95' } }, spec: {} },
  };
  const { ops, warnings } = mutate(request, { ...DEFAULT_POLICY, namespaces: cache });
  const op = ops.find(({ path }) => path.endsWith('effective.scx-slo.io~1importance'));
  return { recorded: op !== undefined && 'value' in op ? op.value : undefined, warnings };
};

describe('namespace cache', () => {
  it('keeps what is ours of each namespace and follows every change, with no request of its own', async () => {
    put('shop', { [CAP]: '100', other: 'x'.repeat(1000) }, { team: 'a', 'scx-slo.io/webhook': 'enabled' });
    expect(cache.state()).toBe('unsynced');
    await cache.start();
    expect([cache.state(), cache.size()]).toEqual(['synced', 1]);
    expect(cache.get('shop')).toEqual({
      annotations: { [CAP]: '100' },
      labels: { 'scx-slo.io/webhook': 'enabled' },
    });
    expect(importanceIn('shop')).toEqual({ recorded: '95', warnings: [] });
    put('shop', { [CAP]: '40' });
    await vi.waitFor(() => expect(importanceIn('shop').recorded).toBe('40'));
    api.store.delete('namespaces', 'shop');
    await vi.waitFor(() => expect(cache.get('shop')).toBeUndefined());
    const before = api.requests.length;
    for (let i = 0; i < 1000; i += 1) importanceIn('shop');
    expect(api.requests.length).toBe(before);
  });

  it('caps at 90 with a warning before the first list', async () => {
    put('shop', { [CAP]: '100' });
    api.fault = () => ({ status: 500 });
    void cache.start();
    await vi.waitFor(() => expect(log.warn).toHaveBeenCalled());
    expect(importanceIn('shop')).toEqual({
      recorded: '90',
      warnings: [
        "scx-slo.io/importance: 95 is above the namespace's maximum; 90 holds",
        'scx-slo: the caps of this namespace are not known at the moment; the built-in ones hold',
      ],
    });
    api.fault = () => undefined;
    await vi.waitFor(() => expect(cache.state()).toBe('synced'), 5000);
    expect(importanceIn('shop').recorded).toBe('95');
  });

  it('is stale when the watch is broken for too long, says so once, and recovers', async () => {
    put('shop', { [CAP]: '100' });
    put('batch', { [CAP]: '20' });
    await cache.start();
    api.fault = () => ({ status: 503 });
    api.breakConnections();
    await vi.waitFor(() => expect(cache.state()).toBe('stale'), 5000);
    expect(importanceIn('shop').recorded).toBe('90');
    expect(importanceIn('batch').recorded).toBe('20');
    put('shop', { [CAP]: '100', 'scx-slo.io/budget-ms': '5' });
    api.fault = () => undefined;
    await vi.waitFor(() => expect(cache.state()).toBe('synced'), 5000);
    await vi.waitFor(() => expect(cache.get('shop')?.annotations).toHaveProperty('scx-slo.io/budget-ms'));
    expect(importanceIn('shop').recorded).toBe('95');
    const reasons = log.warn.mock.calls.map(([{ reason }]) => String(reason));
    expect(reasons.filter((reason) => reason.includes('503'))).toHaveLength(1);
  });
});

describe('sidecar kind', () => {
  it.each([
    ['1', '28', false],
    ['1', '29', true],
    ['1', '29+', true],
    ['1', '20+', false],
    ['2', '0', true],
    [undefined, undefined, false],
    ['', 'x', false],
  ])('of version %s.%s: native is %s', (major, minor, native) => {
    expect(hasNativeSidecars({ major, minor })).toBe(native);
  });
});
