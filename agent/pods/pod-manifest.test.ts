import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settleConflicts } from './pod-conflicts.ts';
import { parseManifest } from './pod-manifest.ts';
import { sourceErrorText } from './source-error.ts';

const manifest = (name: string, uid = `uid-${name}`, more = '') => `apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  uid: ${uid}
  annotations:
    scx-slo.io/budget-ms: "50"
${more}spec:
  containers:
    - name: main
`;

const parse = (text: string) => parseManifest(text, 'pods.yaml');
const errorsOf = (text: string) => parse(text).errors.map(sourceErrorText);

describe('parseManifest', () => {
  it('reads one document, several, a List, and JSON', () => {
    const json = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: ['c', 'd'].map((name) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, uid: name },
        spec: {},
      })),
    });
    expect(parse(manifest('a')).pods).toMatchObject([{ target: { name: 'a' }, line: 1, column: 1 }]);
    expect(
      parse(`# first\n---\n${manifest('a')}---\n---\n${manifest('b')}`).pods.map((p) => [
        p.target.name,
        p.line,
      ]),
    ).toEqual([
      ['a', 3],
      ['b', 15],
    ]);
    expect(parse(json)).toMatchObject({
      errors: [],
      pods: [{ target: { name: 'c' } }, { target: { name: 'd' } }],
    });
    expect(parse(JSON.stringify(JSON.parse(json), null, '\t')).pods).toHaveLength(2);
    expect(parse('')).toMatchObject({ pods: [], errors: [], isBroken: false });
  });

  it('points at the annotation that is wrong', () => {
    const text = manifest('a', 'u', '    scx-slo.io/importance: "101"\n    scx-slo.io/mode: 7\n');
    expect(errorsOf(text)).toEqual([
      'pods.yaml:8:5: SLO_E_IMPORTANCE: scx-slo.io/importance: "101" is not 1 .. 100 (integer); ignored',
      'pods.yaml:9:5: SLO_E_MODE: scx-slo.io/mode: 7 (not a string: quote it) is not observe, advisory, enforce; ignored',
    ]);
  });

  it('points into a List', () => {
    const text = `apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Pod
    metadata:
      name: a
      uid: ../../etc
`;
    expect(errorsOf(text)).toEqual([expect.stringMatching(/^pods\.yaml:8:7: SLO_E_POD: .*metadata\.uid/)]);
  });

  it('keeps the good documents beside a broken one', () => {
    const { pods, errors, isBroken } = parse(
      `${manifest('a')}---\nkind: Pod\n  bad: [\n---\n${manifest('b')}`,
    );
    expect(pods.map((p) => p.target.name)).toEqual(['a', 'b']);
    expect(isBroken).toBe(true);
    expect(errors).toMatchObject([{ code: 'SLO_E_YAML', line: 12 }]);
  });

  it('names what is no pod', () => {
    expect(errorsOf('apiVersion: v1\nkind: Service\n')).toEqual([
      'pods.yaml:1:1: SLO_E_KIND: apiVersion v1, kind Service: only pods (v1 Pod, or a List of them) are read here',
    ]);
    for (const text of ['just text', '- 1', 'apiVersion: v2\nkind: Pod', '42']) {
      expect(parse(text)).toMatchObject({ pods: [], isBroken: false, errors: [{ code: 'SLO_E_KIND' }] });
    }
  });

  it('refuses aliases that multiply and brackets that nest, quickly', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 20 }, (_, i) => {
      const [here, before] = [String.fromCharCode(98 + i), String.fromCharCode(97 + i)];
      return `${here}: &${here} [${Array(9).fill(`*${before}`).join(',')}]\n`;
    }).join('')}`;
    for (const text of [bomb, '['.repeat(1_000_000), '{a: '.repeat(200_000)]) {
      const start = performance.now();
      expect(parse(text)).toMatchObject({ pods: [], isBroken: true, errors: [{ code: 'SLO_E_YAML' }] });
      expect(performance.now() - start).toBeLessThan(1000);
    }
  });

  it('never throws, and gives each error a printable line', () => {
    const lines = fc.constantFrom(
      ...manifest('a').split('\n'),
      '---',
      ' - x',
      '\t',
      'kind: List',
      '? [',
      '!!map',
      '&a',
      '*a',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(lines).map((l) => l.join('\n')),
          fc.string({ unit: 'binary' }),
        ),
        (text) => {
          for (const error of parse(text).errors) {
            expect(sourceErrorText(error)).toMatch(
              /^pods\.yaml:[1-9][0-9]*:[1-9][0-9]*: SLO_E_[A-Z_]+: [\x20-\x7e]+$/,
            );
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('settleConflicts', () => {
  const mirror = (name: string, uid: string, hash: string) => ({
    ...readOne(name, uid),
    target: { ...readOne(name, uid).target, cgroupUid: hash },
  });
  const readOne = (name: string, uid: string) => {
    const [pod] = parse(manifest(name, uid)).pods;
    if (pod === undefined) {
      throw new Error('the manifest above is good');
    }
    return pod;
  };
  const names = (pods: { target: { name: string } }[]) => pods.map((p) => p.target.name);

  it('gives a UID that two pods claim to neither', () => {
    const { pods, errors } = settleConflicts([readOne('a', 'u1'), readOne('b', 'u2'), readOne('c', 'u1')]);
    expect(names(pods)).toEqual(['b']);
    expect(errors.map(sourceErrorText)).toEqual([
      'pods.yaml:1:1: SLO_E_CONFLICT: pod default/a has the UID u1 of pod default/c (pods.yaml:1); neither is used',
      'pods.yaml:1:1: SLO_E_CONFLICT: pod default/c has the UID u1 of pod default/a (pods.yaml:1); neither is used',
    ]);
  });

  it('sees through the systemd spelling', () => {
    expect(settleConflicts([readOne('a', 'u-1'), readOne('b', 'u_1')]).pods).toEqual([]);
  });

  it('ignores a hash that is the UID of a live pod, and leaves that pod alone', () => {
    const { pods, errors } = settleConflicts([readOne('victim', 'u1'), mirror('thief', 'u2', 'u1')]);
    expect(pods.map((p) => [p.target.name, p.target.cgroupUid])).toEqual([
      ['victim', 'u1'],
      ['thief', 'u2'],
    ]);
    expect(errors).toMatchObject([{ code: 'SLO_E_CONFLICT' }]);
  });

  it('gives a hash that two mirrors claim to neither', () => {
    const { pods } = settleConflicts([mirror('a', 'u1', 'h'), mirror('b', 'u2', 'h'), readOne('c', 'u3')]);
    expect(names(pods)).toEqual(['c']);
  });

  it('never lets two pods have one cgroup, and loses none without a word', () => {
    const uid = fc.constantFrom('u1', 'u2', 'u3', 'u-4', 'u_4');
    const one = fc
      .tuple(uid, uid, fc.boolean())
      .map(([u, h, isMirror]) => (isMirror ? mirror('m', u, h) : readOne('p', u)));
    fc.assert(
      fc.property(fc.array(one, { maxLength: 6 }), (input) => {
        const { pods, errors } = settleConflicts(input);
        const claims = pods.map((p) => p.target.cgroupUid.replaceAll('_', '-'));
        expect(new Set(claims).size).toBe(claims.length);
        expect(errors.length).toBeGreaterThanOrEqual(input.length - pods.length);
      }),
    );
  });
});
