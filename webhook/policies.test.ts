/**
 * The policies that the API server evaluates itself say the same as the webhook's own code: their CEL is evaluated here
 * beside it, on values of every kind.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { isOurKey } from '../slo/annotations.ts';
import { readCaps } from '../slo/caps.ts';
import { budgetMsOf, importanceOf } from '../slo/grammar.ts';
import { recordOf } from '../slo/record.ts';
import { resolve } from '../slo/resolve.ts';
import { type AdmissionPolicy, CompiledPolicy } from '../test/fakes/admission-policy.ts';
import { applyPatch, type PatchOp } from './patch.ts';

const policyOf = (file: string, name: string): CompiledPolicy => {
  const text = readFileSync(new URL(`../manifests/policies/${file}/policy.yaml`, import.meta.url), 'utf8');
  const policies = parseAllDocuments(text).map((document) => document.toJS() as AdmissionPolicy);
  const policy = policies.find(({ metadata }) => metadata.name === name);
  if (policy === undefined) throw new Error(`no policy ${name} in ${file}`);
  return new CompiledPolicy(policy);
};

const strict = policyOf('strict', 'scx-slo-strict');
const record = policyOf('without-webhook', 'scx-slo-record');

/** What docs/webhook.md says that the API server should call the webhook for. */
const called = (() => {
  const text = readFileSync(new URL('../docs/webhook.md', import.meta.url), 'utf8');
  const spec = parse(/```yaml\n([^`]+)```/.exec(text)?.[1] ?? '');
  return new CompiledPolicy({ metadata: { name: 'webhook' }, spec });
})();

it('is refused, as by an API server, when it names a variable by a reserved word', () => {
  const spec = { variables: [{ name: 'namespace', expression: '1' }] };
  expect(() => new CompiledPolicy({ metadata: { name: 'p' }, spec })).toThrow(
    '"namespace" is a reserved word',
  );
});

type Annotations = Record<string, string>;

const podWith = (annotations: Annotations | undefined) => ({
  metadata: annotations === undefined ? {} : { annotations },
  spec: { containers: [{ name: 'api' }, { name: 'log' }], initContainers: [{ name: 'init' }] },
});
const CONTAINERS = ['init', 'api', 'log'];

const created = (annotations: Annotations | undefined, namespace: Annotations = {}) => ({
  object: podWith(annotations),
  oldObject: null,
  namespaceObject: { metadata: { annotations: namespace } },
});

/** Near the bounds and the shape of each grammar, and far from them. */
const value = fc.oneof(
  fc.constantFrom(
    '0',
    '0.999',
    '1',
    '1.0',
    '01',
    '10000',
    '10000.0',
    '10000.001',
    '10001',
    '99999',
    '100000',
  ),
  fc.constantFrom(
    '2.5',
    '2.',
    '.5',
    '1e3',
    '+1',
    '-1',
    ' 1',
    '1 ',
    '1\n',
    '\u0661',
    '0x10',
    '',
    '100',
    '101',
    '90',
    '91',
  ),
  fc.constantFrom(
    'true',
    'false',
    'True',
    'endpoint',
    'sidecar',
    'observe',
    'advisory',
    'enforce',
    '65535',
    '65536',
  ),
  fc.integer({ min: -5, max: 20_000 }).map(String),
  fc.integer({ min: 1, max: 10_000_000 }).map((us) => String(us / 1000)),
  fc.string(),
);

/** The keys of a pod, good neighbours of theirs, and what is not ours. */
const podKey = fc.constantFrom(
  ...['budget-ms', 'importance', 'mode', 'shed', 'inject', 'app-port', 'budget', 'webhook'].map(
    (name) => `scx-slo.io/${name}`,
  ),
  ...['api', 'init', 'db'].flatMap((name) => [
    `budget-ms.scx-slo.io/${name}`,
    `importance.scx-slo.io/${name}`,
  ]),
  'caps.scx-slo.io/max-importance',
  'effective.scx-slo.io/budget-ms',
  'effective.scx-slo.io/clamped',
  'effective-budget-ms.scx-slo.io/api',
  'effective-x.scx-slo.io/~',
  'notscx-slo.io/budget-ms',
  'scx-slo.io',
  'a/scx-slo.io/b',
  'team',
);
const capKey = fc.constantFrom(
  'caps.scx-slo.io/max-importance',
  'caps.scx-slo.io/min-budget-ms',
  'caps.scx-slo.io/allow-unsheddable',
);
const namespaceKey = fc.oneof(
  capKey,
  fc.constantFrom('scx-slo.io/budget-ms', 'scx-slo.io/importance', 'scx-slo.io/shed', 'other'),
);

/** What the webhook would warn of, and what it would cut of the values that this pod gives itself. */
const isFaultless = (annotations: Annotations, namespaceAnnotations: Annotations): boolean => {
  const { problems } = resolve({ annotations, containerNames: CONTAINERS });
  const caps = readCaps(new Map(Object.entries(namespaceAnnotations)), []);
  const isCut = Object.entries(annotations).some(([key, text]) => {
    if (/^(budget-ms\.scx-slo\.io\/.*|scx-slo\.io\/budget-ms)$/.test(key)) {
      return (budgetMsOf(text) ?? Number.POSITIVE_INFINITY) < caps.minBudgetMs;
    }
    if (/^(importance\.scx-slo\.io\/.*|scx-slo\.io\/importance)$/.test(key)) {
      return (importanceOf(text) ?? 0) > caps.maxImportance;
    }
    return key === 'scx-slo.io/shed' && text === 'false' && !caps.allowUnsheddable;
  });
  return problems.length === 0 && !isCut;
};

describe('policy of strict namespaces', () => {
  it('refuses exactly what the webhook would warn of', () => {
    let [refused, admitted] = [0, 0];
    fc.assert(
      fc.property(
        fc.dictionary(podKey, value, { maxKeys: 3 }),
        fc.dictionary(capKey, value),
        (annotations, namespace) => {
          const isGood = isFaultless(annotations, namespace);
          if (isGood) admitted += 1;
          else refused += 1;
          expect(strict.problems(created(annotations, namespace)).length === 0).toBe(isGood);
        },
      ),
      { numRuns: 1500 },
    );
    expect(Math.min(refused, admitted)).toBeGreaterThan(100);
  });

  it.each(['scx-slo.io/budget-ms', 'scx-slo.io/importance', 'scx-slo.io/app-port', 'scx-slo.io/mode'])(
    'takes and refuses the same values of %s as the grammar',
    (key) => {
      fc.assert(
        fc.property(value, (text) => {
          const isGood = isFaultless({ [key]: text }, {});
          expect(strict.problems(created({ [key]: text })).length === 0).toBe(isGood);
        }),
        { numRuns: 1000 },
      );
    },
  );

  it('says which key and which value', () => {
    expect(strict.problems(created({ 'scx-slo.io/budget-ms': 'fast' }))).toEqual([
      'scx-slo.io/budget-ms "fast": not 1 .. 10000 (decimal ms)',
    ]);
    expect(strict.problems(created({ 'scx-slo.io/importance': '95' }))).toEqual([
      'importance is above 90, the maximum of the namespace',
    ]);
  });

  it('admits a pod without annotations', () => {
    expect(strict.problems(created(undefined))).toEqual([]);
  });
});

describe('match conditions of the policies and the webhook', () => {
  it('let mirror pods pass', () => {
    for (const policy of [strict, record, called]) {
      expect(policy.matches(created({ 'kubernetes.io/config.mirror': 'x' }))).toBe(false);
      expect(policy.matches(created(undefined))).toBe(true);
    }
  });

  it('let an update pass that changes no key of ours', () => {
    const key = fc.oneof(podKey, fc.string());
    fc.assert(
      fc.property(
        fc.dictionary(key, fc.constantFrom('1', '2')),
        fc.dictionary(key, fc.constantFrom('1', '2')),
        (before, after) => {
          const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(isOurKey);
          const changed = keys.filter((k) => before[k] !== after[k]);
          const update = { ...created(after), oldObject: podWith(before) };
          expect(record.matches(update)).toBe(changed.length > 0);
          expect(called.matches(update)).toBe(changed.length > 0);
          const asked = changed.filter((k) => !/^effective(-[a-z-]+)?\.scx-slo\.io\//.test(k));
          expect(strict.matches(update)).toBe(asked.length > 0);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('policy that writes the record without a webhook', () => {
  it('writes exactly the record that the webhook would write, and removes what is forged', () => {
    let recorded = 0;
    fc.assert(
      fc.property(
        fc.option(fc.dictionary(podKey, value, { maxKeys: 6 }), { nil: undefined }),
        fc.dictionary(namespaceKey, value, { maxKeys: 4 }),
        (annotations, namespaceAnnotations) => {
          const input = created(annotations, namespaceAnnotations);
          const wanted = recordOf(resolve({ annotations, containerNames: CONTAINERS, namespaceAnnotations }));
          const kept = Object.entries(annotations ?? {}).filter(
            ([key]) => !/^effective(-[a-z-]+)?\.scx-slo\.io\//.test(key),
          );
          const patched = applyPatch(input.object, record.patch(input) as PatchOp[]) as ReturnType<
            typeof podWith
          >;
          if (wanted.size > 0) recorded += 1;
          expect(patched.metadata.annotations ?? {}).toEqual({
            ...Object.fromEntries(kept),
            ...Object.fromEntries(wanted),
          });
        },
      ),
      { numRuns: 2000 },
    );
    expect(recorded).toBeGreaterThan(300);
  });
});
