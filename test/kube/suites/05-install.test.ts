/** The manifests on a real API server, and what the accounts that they make may do. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { KubeObject } from '../api-client.ts';
import { type Cluster, cluster } from '../cluster.ts';
import { install, manifestsFor } from '../install.ts';
import { SYSTEM_NAMESPACE } from '../pod-account.ts';

let shared: Cluster;

beforeAll(async () => {
  shared = await cluster();
});

describe('kubectl apply -k', () => {
  it('makes every object, without a warning', async () => {
    const { stdout, warnings } = await install(shared);
    const lines = stdout.trim().split('\n');
    expect(lines.length).toBeGreaterThan(15);
    expect(lines.filter((line) => !line.endsWith(' created'))).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('changes no object the second time', async () => {
    const before = await generations();
    expect((await shared.kubectl(['apply', '-k', manifestsFor(shared)])).code).toBe(0);
    expect(await generations()).toEqual(before);
  });
});

/** Kind and name -> generation, of those that have one: it counts changes of the specification. */
const generations = async (): Promise<Record<string, number>> => {
  const { stdout } = await shared.kubectl(['get', '-k', manifestsFor(shared), '-o', 'json']);
  const { items } = JSON.parse(stdout) as { items: (KubeObject & { kind: string })[] };
  const counted = items.filter(({ metadata }) => metadata.generation !== undefined);
  expect(counted.length).toBeGreaterThan(3);
  return Object.fromEntries(
    counted.map(({ kind, metadata }) => [`${kind} ${metadata.name}`, Number(metadata.generation)]),
  );
};

type Right = readonly [verb: string, resource: string, namespace?: string, name?: string];

/** Asks the API server itself. */
const allowed = async (account: string, [verb, what, namespace, name]: Right): Promise<boolean> => {
  const [path = '', group = ''] = what.split('.', 1).concat(what.split('.').slice(1).join('.'));
  const [resource = '', subresource] = path.split('/');
  const user = `system:serviceaccount:${SYSTEM_NAMESPACE}:${account}`;
  const groups = [
    'system:authenticated',
    'system:serviceaccounts',
    `system:serviceaccounts:${SYSTEM_NAMESPACE}`,
  ];
  const attributes = {
    verb,
    resource,
    group,
    ...(subresource === undefined ? {} : { subresource }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
  };
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user, groups, resourceAttributes: attributes },
  };
  const { status } = await shared.plane.api.create(
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    review,
  );
  return (status as { allowed: boolean }).allowed;
};

describe.each<{ account: string; may: readonly Right[]; mayNot: readonly Right[] }>([
  {
    account: 'scx-slo-agent',
    may: [
      ['list', 'pods'],
      ['watch', 'pods'],
      ['list', 'namespaces'],
      ['watch', 'namespaces'],
      ['create', 'events.events.k8s.io', 'shop'],
    ],
    mayNot: [
      ['create', 'pods', 'shop'],
      ['patch', 'pods', 'shop'],
      ['delete', 'pods', 'shop'],
      ['get', 'secrets', SYSTEM_NAMESPACE],
      ['list', 'secrets'],
      ['patch', 'nodes'],
      ['patch', 'nodes/status'],
      ['list', 'configmaps'],
    ],
  },
  {
    account: 'scx-slo-webhook',
    may: [
      ['list', 'namespaces'],
      ['watch', 'namespaces'],
    ],
    mayNot: [
      ['list', 'pods'],
      ['create', 'pods', 'shop'],
      ['get', 'secrets', SYSTEM_NAMESPACE],
      ['patch', 'mutatingwebhookconfigurations.admissionregistration.k8s.io'],
    ],
  },
  {
    account: 'scx-slo-webhook-certificate',
    may: [
      ['patch', 'secrets', SYSTEM_NAMESPACE, 'scx-slo-webhook-tls'],
      ['patch', 'mutatingwebhookconfigurations.admissionregistration.k8s.io', '', 'scx-slo-webhook'],
    ],
    mayNot: [
      ['list', 'secrets'],
      ['get', 'secrets', SYSTEM_NAMESPACE],
      ['list', 'pods'],
      ['patch', 'mutatingwebhookconfigurations.admissionregistration.k8s.io'],
    ],
  },
])('the account $account', ({ account, may, mayNot }) => {
  it('may do what it must', async () => {
    for (const right of may) expect([right, await allowed(account, right)]).toEqual([right, true]);
  });

  it('may do nothing else that would do harm', async () => {
    for (const right of mayNot) expect([right, await allowed(account, right)]).toEqual([right, false]);
  });
});
