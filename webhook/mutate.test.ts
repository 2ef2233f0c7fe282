import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AdmissionRequest } from './admission-review.ts';
import { admit } from './admit.ts';
import { type AdmissionPolicy, DEFAULT_POLICY, mutate } from './mutate.ts';
import type { NamespaceCacheState, NamespaceFacts } from './namespace-view.ts';
import { applyPatch, pointer } from './patch.ts';
import { selfCheck } from './self-check.ts';
import { SIDECAR_NAME } from './sidecar.ts';

const request = (object: unknown, operation = 'CREATE', namespace = 'shop'): AdmissionRequest => ({
  uid: 'u',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  operation,
  namespace,
  object,
});

/** A cache of the one namespace `shop`. */
const knowing = (
  annotations: Record<string, unknown>,
  { labels = {}, state = 'synced' as NamespaceCacheState } = {},
): AdmissionPolicy => {
  const shop: NamespaceFacts = { annotations, labels };
  return {
    ...DEFAULT_POLICY,
    namespaces: {
      get: (name) => (name === 'shop' ? shop : undefined),
      state: () => state,
      size: () => 1,
    },
  };
};

const annotated = (annotations: Record<string, string>) => ({
  metadata: { annotations },
  spec: { containers: [{ name: 'api' }] },
});

const ourKeys = fc.constantFrom(
  'scx-slo.io/budget-ms',
  'scx-slo.io/importance',
  'scx-slo.io/inject',
  'scx-slo.io/app-port',
  'scx-slo.io/mode',
  'scx-slo.io/shed',
  'budget-ms.scx-slo.io/a',
  'importance.scx-slo.io/b~c',
  'effective.scx-slo.io/budget-ms',
  'effective.scx-slo.io/clamped',
  'effective.scx-slo.io/',
  'effective.scx-slo.io/x/~1',
  'effective-budget-ms.scx-slo.io/a',
  'effective-x.scx-slo.io/~',
);
const value = fc.oneof(
  fc.integer({ min: -1, max: 20_000 }).map(String),
  fc.constantFrom('endpoint', 'sidecar', 'true', 'observe'),
  fc.string({ unit: 'binary' }),
  fc.jsonValue({ maxDepth: 1 }),
);
const key = fc.oneof(
  { weight: 3, arbitrary: ourKeys },
  fc.string().filter((k) => k !== '__proto__'),
);
const annotations = fc.oneof(
  { weight: 8, arbitrary: fc.dictionary(key, value) },
  fc.constantFrom(undefined, null, [], 'text', 3),
);
const namespaceKey = fc.constantFrom(
  'scx-slo.io/budget-ms',
  'scx-slo.io/importance',
  'caps.scx-slo.io/max-importance',
  'caps.scx-slo.io/min-budget-ms',
  'caps.scx-slo.io/allow-unsheddable',
  'openshift.io/sa.scc.uid-range',
);
const policy = fc
  .record({
    annotations: fc.dictionary(namespaceKey, value),
    labels: fc.constantFrom({}, { 'scx-slo.io/webhook': 'disabled' }),
    state: fc.constantFrom<NamespaceCacheState>('off', 'unsynced', 'synced', 'stale'),
    sidecar: fc.constantFrom(
      undefined,
      { image: 'scx-slo:1', kind: 'native' as const },
      { image: 'scx-slo:1', kind: 'container' as const },
    ),
  })
  .map(({ annotations, labels, state, sidecar }) => ({
    ...knowing(annotations, { labels, state }),
    sidecar,
  }));
const env = fc.oneof(
  fc.constantFrom(undefined, null, [], {}),
  fc.array(fc.record({ name: fc.constantFrom('A', 'SCX_SLO_ENDPOINT', 7) })),
);
const container = fc.oneof(
  { weight: 6, arbitrary: fc.record({ name: fc.constantFrom('a', 'b~c', 'd/e', 5, undefined), env }) },
  fc.constantFrom(null, 'text', []),
);
const pod = fc.record({
  metadata: fc.record({ annotations, labels: fc.constantFrom(undefined, null, {}, { app: 'x' }) }),
  spec: fc.record({
    containers: fc.array(container, { maxLength: 4 }),
    initContainers: fc.oneof(fc.constantFrom(undefined, null), fc.array(container, { maxLength: 3 })),
    volumes: fc.jsonValue(),
    hostNetwork: fc.constantFrom(undefined, true),
    restartPolicy: fc.constantFrom(undefined, 'Never'),
  }),
});

/** As it would come over the wire. */
const wired = (object: unknown): unknown => JSON.parse(JSON.stringify(object));

describe('mutate', () => {
  it('has nothing to add to its own output, and its patch always passes the self-check', () => {
    fc.assert(
      fc.property(pod, fc.constantFrom('CREATE', 'UPDATE'), policy, (object, operation, held) => {
        const before = request(wired(object), operation);
        const { ops } = mutate(before, held);
        expect(selfCheck(before, ops, (review) => mutate(review, held))).toBeUndefined();
        const after = request(applyPatch(before.object, ops), operation);
        expect(mutate(after, held).ops).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('changes nothing but the record, the environment and the sidecar', () => {
    const notOurs = (list: readonly ({ name?: unknown } | null)[] | null) => {
      const rest = (list ?? []).filter((item) => item?.name !== SIDECAR_NAME);
      return rest.length > 0 ? rest : undefined;
    };
    const stripped = (k: string, v: unknown): unknown => {
      if (/^effective(-[a-z-]+)?\.scx-slo\.io\//.test(k) || k === 'env') {
        return undefined;
      }
      if (k === 'containers' || k === 'initContainers') {
        return notOurs(v as []);
      }
      return k === 'annotations' ? (v ?? {}) : v;
    };
    const strip = (object: unknown): unknown => JSON.parse(JSON.stringify(object, stripped));
    fc.assert(
      fc.property(pod, policy, (object, held) => {
        const before = wired(object) as { metadata: { annotations?: unknown } };
        const after = applyPatch(before, mutate(request(before), held).ops);
        before.metadata.annotations ??= {};
        const normal = after as typeof before;
        normal.metadata.annotations ??= {};
        expect(strip(normal)).toEqual(strip(before));
      }),
      { numRuns: 500 },
    );
  });

  it('on UPDATE touches metadata only', () => {
    fc.assert(
      fc.property(pod, policy, (object, held) => {
        const { ops } = mutate(request(wired(object), 'UPDATE'), held);
        expect(ops.filter((op) => !op.path.startsWith('/metadata/annotations'))).toEqual([]);
      }),
    );
  });

  it('answers any JSON as the object, allowed', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (object) => {
        const body = {
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          request: request(object),
        };
        expect(admit(body)).toMatchObject({ status: 200, review: { response: { uid: 'u', allowed: true } } });
      }),
    );
  });

  it('handles 50,000 forged keys and as many containers in little time and one operation', () => {
    const many = Array.from({ length: 50_000 }, (_, i) => i);
    const object = {
      metadata: {
        annotations: Object.fromEntries([
          ['scx-slo.io/inject', 'endpoint'],
          ['keep', 'me'],
          ...many.map((i) => [`effective.scx-slo.io/x${i}`, '1'] as const),
        ]),
      },
      spec: { containers: many.map((i) => ({ name: `c${i}` })) },
    };
    const start = performance.now();
    const answer = admit({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: request(object),
    });
    expect(performance.now() - start).toBeLessThan(2000);
    expect(answer).toMatchObject({ decision: 'patched', summary: { ops: 201 } });
    const result = applyPatch(object, mutate(request(object)).ops) as typeof object;
    expect(result.metadata.annotations).toEqual({ 'scx-slo.io/inject': 'endpoint', keep: 'me' });
  });

  it('gives at most ten warnings, the last one a count', () => {
    const bad = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`scx-slo.io/x${i}`, '']));
    const { warnings } = mutate(request({ metadata: { annotations: bad }, spec: {} }));
    expect(warnings).toHaveLength(10);
    expect(warnings.at(-1)).toBe('and 21 more about scx-slo.io annotations');
  });
});

describe('namespaces', () => {
  const important = annotated({ 'scx-slo.io/budget-ms': '5', 'scx-slo.io/importance': '95' });
  const recordIn = (held: AdmissionPolicy, object: unknown = important) =>
    (applyPatch(object, mutate(request(object), held).ops) as typeof important).metadata.annotations;

  it('caps by the annotations of the namespace, and writes down what was cut', () => {
    const held = knowing({ 'caps.scx-slo.io/max-importance': '30', 'caps.scx-slo.io/min-budget-ms': '20' });
    expect(recordIn(held)).toMatchObject({
      'effective.scx-slo.io/budget-ms': '20',
      'effective.scx-slo.io/importance': '30',
      'effective.scx-slo.io/clamped': 'budget-ms:5>20,importance:95>30',
    });
    expect(mutate(request(important), held).warnings).toEqual([
      "scx-slo.io/budget-ms: 5 is below the namespace's minimum; 20 holds",
      "scx-slo.io/importance: 95 is above the namespace's maximum; 30 holds",
    ]);
  });

  it('lets a namespace raise the cap, and gives its pods its defaults', () => {
    expect(recordIn(knowing({ 'caps.scx-slo.io/max-importance': '100' }))).toMatchObject({
      'effective.scx-slo.io/importance': '95',
    });
    expect(recordIn(knowing({ 'scx-slo.io/budget-ms': '200' }), annotated({}))).toEqual({
      'effective.scx-slo.io/budget-ms': '200',
      'effective.scx-slo.io/importance': '50',
      'effective.scx-slo.io/source': 'namespace',
    });
  });

  it.each<[string, AdmissionPolicy]>([
    ['the cache is stale', knowing({ 'caps.scx-slo.io/max-importance': '100' }, { state: 'stale' })],
    ['the first list has not come', { ...knowing({}, { state: 'unsynced' }) }],
  ])('falls back to the built-in cap, and says so, while %s', (_when, held) => {
    const unknown = { ...held, namespaces: { ...held.namespaces } };
    if (held.namespaces.state() === 'unsynced') unknown.namespaces.get = () => undefined;
    expect(recordIn(unknown)).toMatchObject({ 'effective.scx-slo.io/importance': '90' });
    expect(mutate(request(important), unknown).warnings).toContain(
      'scx-slo: the caps of this namespace are not known at the moment; the built-in ones hold',
    );
  });

  it('says nothing of unknown caps where they would change nothing', () => {
    const ordinary = annotated({ 'scx-slo.io/budget-ms': '50' });
    expect(mutate(request(ordinary), knowing({}, { state: 'stale' })).warnings).toEqual([]);
  });

  it('leaves alone the pods of a namespace that is labelled so, of the system and of ours', () => {
    const opted = knowing({}, { labels: { 'scx-slo.io/webhook': 'disabled' } });
    expect(mutate(request(important), opted).decision).toBe('skipped');
    for (const namespace of ['kube-system', 'kube-public', 'kube-node-lease', 'scx-slo-system']) {
      expect(mutate(request(important, 'CREATE', namespace)).decision).toBe('skipped');
    }
  });
});

describe('pointer', () => {
  it('finds any key back', () => {
    fc.assert(
      fc.property(
        fc.string().filter((k) => k !== '__proto__'),
        (k) => {
          expect(applyPatch({ m: {} }, [{ op: 'add', path: pointer('m', k), value: 1 }])).toEqual({
            m: { [k]: 1 },
          });
        },
      ),
    );
  });
});
