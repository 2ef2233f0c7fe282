/** The admission policies on an API server that evaluates them itself; before the first install, so without a webhook. */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { annotationsOf, createNamespace, getPod, podObject, podsPath, recordIn } from '../objects.ts';

const POLICIES = join(import.meta.dirname, '..', '..', '..', 'manifests', 'policies');

let shared: Cluster;

const applyPolicy = async (name: string): Promise<void> => {
  const { code, stderr, warnings } = await shared.kubectl(['apply', '-k', join(POLICIES, name)]);
  expect(code, stderr.join('\n')).toBe(0);
  expect(warnings).toEqual([]);
};

const removePolicy = async (name: string): Promise<void> => {
  await shared.kubectl(['delete', '--ignore-not-found', '-k', join(POLICIES, name)]);
};

const apply = (namespace: string, name: string, annotations: Record<string, string>, labels = {}) =>
  shared.kubectl(
    ['apply', '-f', '-'],
    [podObject({ namespace, name, annotations, labels, containers: ['app', 'log'] })],
  );

/** The answer to a pod that nobody stores. */
const dryRun = (namespace: string, annotations: Record<string, string>) =>
  shared.plane.api.send(
    'POST',
    `${podsPath(namespace)}?dryRun=All`,
    podObject({ namespace, name: 'probe', annotations }),
  );

beforeAll(async () => {
  shared = await cluster();
});

describe('manifests/policies/strict', () => {
  const STRICT = 'strict';

  beforeAll(async () => {
    if (!shared.plane.atLeast(1, 30)) return;
    await createNamespace(shared.plane, STRICT, {
      labels: { 'scx-slo.io/strict': 'true' },
      annotations: { 'caps.scx-slo.io/max-importance': '60', 'caps.scx-slo.io/min-budget-ms': '10' },
    });
    await createNamespace(shared.plane, 'lenient');
    await applyPolicy('strict');
    await eventually('the API server evaluates the policy', async () => {
      return (await dryRun(STRICT, { 'scx-slo.io/budget-ms': 'soon' })).status === 422;
    });
  });

  beforeEach((context) => {
    if (!shared.plane.atLeast(1, 30)) context.skip('ValidatingAdmissionPolicy is from Kubernetes 1.30');
  });

  afterAll(async () => {
    if (shared.plane.atLeast(1, 30)) await removePolicy('strict');
  });

  it.each([
    [{ 'scx-slo.io/budget-ms': '0' }, 'scx-slo.io/budget-ms "0": not 1 .. 10000 (decimal ms)'],
    [{ 'budget-ms.scx-slo.io/app': '1e3' }, 'budget-ms.scx-slo.io/app "1e3": not 1 .. 10000 (decimal ms)'],
    [
      { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/importance': '101' },
      'scx-slo.io/importance "101": not 1 .. 100 (integer)',
    ],
    [
      { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/importance': '61' },
      'importance is above 60, the maximum of the namespace',
    ],
    [{ 'scx-slo.io/budget-ms': '9.5' }, 'budget-ms is below 10'],
    [{ 'budget-ms.scx-slo.io/db': '20' }, 'an override names a container that the pod does not have'],
    [{ 'scx-slo.io/budgetms': '20' }, 'scx-slo.io/budgetms: unknown key'],
    [
      { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/shed': 'false' },
      'needs caps.scx-slo.io/allow-unsheddable: "true" on the namespace',
    ],
  ])('refuses %o and says why', async (annotations, why) => {
    const { code, stderr } = await apply(STRICT, 'bad', annotations);
    expect(code).not.toBe(0);
    expect(stderr.join('\n')).toContain(why);
  });

  it('lets a good pod in, and a pod without an SLO, and bad ones where nobody asked for it', async () => {
    const good = {
      'scx-slo.io/budget-ms': '20',
      'scx-slo.io/importance': '60',
      'budget-ms.scx-slo.io/log': '500',
    };
    const results = [
      await apply(STRICT, 'good', good),
      await apply(STRICT, 'plain', {}),
      await apply('lenient', 'bad', { 'scx-slo.io/budget-ms': 'soon' }),
    ];
    for (const { code, stderr } of results) expect(code, stderr.join('\n')).toBe(0);
  });
});

describe('manifests/policies/without-webhook', () => {
  const NAMESPACE = 'recorded';
  const stored = (name: string) => getPod(shared.plane.api, NAMESPACE, name);

  beforeAll(async () => {
    if (!shared.plane.atLeast(1, 36)) return;
    await createNamespace(shared.plane, NAMESPACE, {
      annotations: { 'caps.scx-slo.io/max-importance': '70' },
    });
    await applyPolicy('without-webhook');
    await eventually('the API server evaluates the policy', async () => {
      const { body } = await dryRun(NAMESPACE, { 'scx-slo.io/budget-ms': '20' });
      return JSON.stringify(body).includes('effective.scx-slo.io/budget-ms');
    });
  });

  beforeEach((context) => {
    if (!shared.plane.atLeast(1, 36)) context.skip('MutatingAdmissionPolicy is from Kubernetes 1.36');
  });

  afterAll(async () => {
    if (shared.plane.atLeast(1, 36)) await removePolicy('without-webhook');
  });

  it('records what the webhook would record, cut to the caps of the namespace', async () => {
    const slo = { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/importance': '90' };
    const { code, stderr } = await apply(NAMESPACE, 'capped', slo);
    expect(code, stderr.join('\n')).toBe(0);
    expect(recordIn(await stored('capped'))).toMatchObject({
      'effective.scx-slo.io/budget-ms': '20',
      'effective.scx-slo.io/importance': '70',
    });
  });

  it('drops a record that somebody forged', async () => {
    await apply(NAMESPACE, 'forged', { 'effective.scx-slo.io/budget-ms': '1' });
    expect(recordIn(await stored('forged'))).toEqual({});
  });

  it('tells every container of the signal where the pod asks for it', async () => {
    await apply(NAMESPACE, 'told', { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/inject': 'endpoint' });
    const { containers } = (await stored('told')).spec as { containers: { env?: unknown[] }[] };
    for (const { env } of containers)
      expect(env).toContainEqual({
        name: 'SCX_SLO_ENDPOINT',
        value: 'http://scx-slo-signal.scx-slo-system.svc:7080',
      });
  });

  it('leaves a pod with the opt-out label as it is', async () => {
    const labels = { 'scx-slo.io/webhook': 'disabled' };
    await apply(NAMESPACE, 'left-alone', { 'scx-slo.io/budget-ms': '20' }, labels);
    expect(annotationsOf(await stored('left-alone'))).not.toHaveProperty('effective.scx-slo.io/budget-ms');
  });
});
