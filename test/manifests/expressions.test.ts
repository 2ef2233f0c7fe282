// The CEL in the manifests, evaluated: which pods the webhook is asked about, what an agent may do to a Node.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CelInput, celEnv, isCelError, parse, plan } from '@bufbuild/cel';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

const manifests = join(import.meta.dirname, '../../manifests');
const firstIn = (file: string) => parseAllDocuments(readFileSync(join(manifests, file), 'utf8'))[0]?.toJS();

interface Named {
  name: string;
  expression: string;
}

type Bindings = Record<string, CelInput>;

/** As it comes over the wire. */
const wired = (values: Record<string, unknown>): Bindings => JSON.parse(JSON.stringify(values));

const evaluate = (expression: string, bindings: Bindings): unknown => {
  const value = plan(celEnv({}), parse(expression))(bindings);
  if (isCelError(value)) throw new Error(`${value.message} in ${expression}`);
  return value;
};

describe('the webhook is asked', () => {
  const [webhook]: { matchConditions: Named[] }[] = firstIn('base/webhook/configuration.yaml').webhooks;
  const pod = (annotations?: Record<string, string>) => ({
    metadata: { name: 'p', ...(annotations === undefined ? {} : { annotations }) },
  });
  const isAsked = (
    object: ReturnType<typeof pod>,
    oldObject: ReturnType<typeof pod> | null = null,
  ): boolean =>
    webhook?.matchConditions.every(
      ({ expression }) => evaluate(expression, wired({ object, oldObject })) === true,
    ) ?? false;
  const budget = 'scx-slo.io/budget-ms';

  it('about every new pod: its namespace may have defaults', () => {
    expect([pod(), pod({}), pod({ a: 'b' }), pod({ [budget]: '1' })].map((one) => isAsked(one))).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });

  it('never about mirror pods', () => {
    expect(isAsked(pod({ [budget]: '1', 'kubernetes.io/config.mirror': 'x' }))).toBe(false);
  });

  it('about updates that add, change or remove a key of ours, and no others', () => {
    for (const key of ['budget-ms.scx-slo.io/app', 'effective.scx-slo.io/importance'])
      expect(isAsked(pod({ [key]: '1' }), pod())).toBe(true);
    expect(isAsked(pod({ a: 'b', 'notscx-slo.io/x': '1' }), pod())).toBe(false);
    const [one, two, none] = [pod({ [budget]: '1' }), pod({ [budget]: '2' }), pod()];
    expect([
      isAsked(two, one),
      isAsked(one, none),
      isAsked(none, one),
      isAsked(pod({ a: 'b' }), one),
    ]).toEqual([true, true, true, true]);
    expect([isAsked(one, one), isAsked(none, none), isAsked(pod({ [budget]: '1', a: 'b' }), one)]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('an agent may', () => {
  const { spec } = firstIn('components/node-condition/policy.yaml') as {
    spec: {
      matchConditions: Named[];
      variables: Named[];
      validations: { expression: string; message: string }[];
    };
  };
  const agent = 'system:serviceaccount:scx-slo-system:scx-slo-agent';
  const ready = { type: 'Ready', status: 'True' };
  const ours = { type: 'SchedExtReady', status: 'False', reason: 'NoSchedExt' };
  const status = { capacity: { cpu: '1' }, images: [{ names: ['x'] }], nodeInfo: { kernelVersion: '7.3' } };
  const node = (conditions: object[] | undefined, change: object = {}, metadata: object = {}) => ({
    metadata: { name: 'n1', labels: { a: 'b' }, ...metadata },
    status: { ...status, ...(conditions === undefined ? {} : { conditions }), ...change },
  });
  type Node = ReturnType<typeof node>;

  interface Request {
    user?: string;
    nodes?: string[];
    subResource?: string;
  }

  /** What the policy says; empty: nothing against it; undefined: it is not asked. */
  const verdict = (object: Node, oldObject: Node, request: Request = {}): string[] | undefined => {
    const { user = agent, nodes = ['n1'], subResource = 'status' } = request;
    const extra = nodes.length === 0 ? {} : { extra: { 'authentication.kubernetes.io/node-name': nodes } };
    const bindings = wired({
      object,
      oldObject,
      request: { userInfo: { username: user, ...extra }, ...(subResource === '' ? {} : { subResource }) },
    });
    if (!spec.matchConditions.every(({ expression }) => evaluate(expression, bindings) === true))
      return undefined;
    const variables: Record<string, unknown> = {};
    for (const { name, expression } of spec.variables) variables[name] = evaluate(expression, bindings);
    return spec.validations
      .filter(
        ({ expression }) => evaluate(expression, { ...bindings, variables: variables as CelInput }) !== true,
      )
      .map(({ message }) => message);
  };

  it('add and change its condition on its own node', () => {
    expect(verdict(node([ready, ours]), node([ready]))).toEqual([]);
    expect(verdict(node([ours, ready]), node([ready]))).toEqual([]);
    expect(verdict(node([ready, { ...ours, status: 'True' }]), node([ready, ours]))).toEqual([]);
    expect(verdict(node([ours]), node(undefined))).toEqual([]);
    expect(verdict(node([ready]), node([ready]))).toEqual([]);
  });

  it('not touch another node, or the node itself', () => {
    const [after, before] = [node([ready, ours]), node([ready])];
    const otherNode = 'a scx-slo agent may only touch the node that its token was made for';
    expect(verdict(after, before, { nodes: ['n2'] })).toEqual([otherNode]);
    expect(verdict(after, before, { nodes: [] })).toEqual([otherNode]);
    expect(verdict(after, before, { nodes: ['n1', 'n2'] })).toEqual([otherNode]);
    expect(verdict(after, before, { subResource: '' })).toEqual([
      'a scx-slo agent may only touch the status of its node',
    ]);
  });

  it.each([
    [
      'another condition',
      node([{ ...ready, status: 'False' }, ours]),
      /only touch the condition SchedExtReady/,
    ],
    ['a condition less', node([ours]), /only touch the condition SchedExtReady/],
    ['a label', node([ready, ours], {}, { labels: { a: 'c' } }), /metadata/],
    ['an annotation', node([ready, ours], {}, { annotations: { a: 'c' } }), /metadata/],
    ['a finalizer', node([ready, ours], {}, { finalizers: ['x'] }), /metadata/],
    ['capacity', node([ready, ours], { capacity: { cpu: '9' } }), /only touch the conditions/],
    ['images', node([ready, ours], { images: [] }), /only touch the conditions/],
    [
      'addresses',
      node([ready, ours], { addresses: [{ type: 'InternalIP', address: '1.2.3.4' }] }),
      /only touch the conditions/,
    ],
  ])('not change %s', (_, object, message) => {
    expect(verdict(object, node([ready]))).toEqual([expect.stringMatching(message)]);
  });

  it('do what it likes as far as this policy is concerned, when it is somebody else', () => {
    expect(verdict(node([]), node([ready]), { user: 'system:node:n1' })).toBeUndefined();
  });
});
