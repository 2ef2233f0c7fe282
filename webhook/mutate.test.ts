import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AdmissionRequest } from './admission-review.ts';
import { admit } from './admit.ts';
import { mutate } from './mutate.ts';
import { applyPatch, pointer } from './patch.ts';
import { selfCheck } from './self-check.ts';

const request = (object: unknown, operation = 'CREATE'): AdmissionRequest => ({
  uid: 'u',
  kind: { group: '', version: 'v1', kind: 'Pod' },
  operation,
  object,
});

const ourKeys = fc.constantFrom(
  'scx-slo.io/budget-ms',
  'scx-slo.io/importance',
  'scx-slo.io/inject',
  'scx-slo.io/mode',
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
  spec: fc.record({ containers: fc.array(container, { maxLength: 4 }), volumes: fc.jsonValue() }),
});

/** As it would come over the wire. */
const wired = (object: unknown): unknown => JSON.parse(JSON.stringify(object));

describe('mutate', () => {
  it('has nothing to add to its own output, and its patch always passes the self-check', () => {
    fc.assert(
      fc.property(pod, fc.constantFrom('CREATE', 'UPDATE'), (object, operation) => {
        const before = request(wired(object), operation);
        const { ops } = mutate(before);
        expect(selfCheck(before, ops, mutate)).toBeUndefined();
        const after = request(applyPatch(before.object, ops), operation);
        expect(mutate(after).ops).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('changes nothing but the record and the environment', () => {
    const strip = (object: unknown): unknown =>
      JSON.parse(
        JSON.stringify(object, (k, v) => {
          if (/^effective(-[a-z-]+)?\.scx-slo\.io\//.test(k) || k === 'env') {
            return undefined;
          }
          return k === 'annotations' && (v === null || v === undefined) ? {} : v;
        }),
      );
    fc.assert(
      fc.property(pod, (object) => {
        const before = wired(object) as { metadata: { annotations?: unknown } };
        const after = applyPatch(before, mutate(request(before)).ops);
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
      fc.property(pod, (object) => {
        const { ops } = mutate(request(wired(object), 'UPDATE'));
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
    expect(warnings.at(-1)).toBe('and 21 more bad scx-slo.io annotations');
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
