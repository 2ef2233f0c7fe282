import type {
  V1ClusterRoleBinding,
  V1MutatingWebhook,
  V1PolicyRule,
  V1ServiceSpec,
} from '@kubernetes/client-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { API_RIGHTS } from '../../webhook/certificate/cluster.ts';
import { resourceOf, resourcesIn } from './api-paths.ts';
import { idOf, type Manifest, ofKind, render } from './rendered.ts';

const NAMESPACE = 'scx-slo-system';
const WEBHOOK_TIMEOUT_MAX_S = 2;

let objects: Manifest[];
let condition: Manifest[];
beforeAll(async () => {
  objects = await render('manifests/overlays/no-cert-manager');
  condition = await render('test/manifests/with-node-condition');
}, 60_000);

/** `group/resource[/subresource]` -> verbs, of all roles that are bound to a service account. */
const rightsOf = (account: string, from = objects): Map<string, string[]> => {
  const bindings = ['ClusterRoleBinding', 'RoleBinding'].flatMap((kind) =>
    ofKind<V1ClusterRoleBinding>(from, kind),
  );
  const roles = bindings
    .filter(({ subjects }) => subjects?.some(({ name }) => name === account))
    .map(({ roleRef }) => `${roleRef.kind}/${roleRef.name}`);
  const rules = from
    .filter((object) => roles.includes(idOf(object)))
    .flatMap(({ rules: some }) => some as V1PolicyRule[]);
  const rights = new Map<string, string[]>();
  for (const { apiGroups = [], resources = [], verbs } of rules) {
    for (const group of apiGroups)
      for (const resource of resources) rights.set(`${group}/${resource}`, verbs);
  }
  return rights;
};

describe('rights', () => {
  it('reads a path as RBAC does', () => {
    expect(['/api/v1/pods', '/api/v1/namespaces', '/api/v1/namespaces/*/secrets/*'].map(resourceOf)).toEqual([
      '/pods',
      '/namespaces',
      '/secrets',
    ]);
    expect(resourceOf('/api/v1/nodes/*/status')).toBe('/nodes/status');
    expect(resourceOf('/apis/events.k8s.io/v1/namespaces/x/events')).toBe('events.k8s.io/events');
  });

  it('gives the agent what its code asks for, and nothing else', () => {
    const asked = resourcesIn('agent/**/*.ts', 'kube/**/*.ts');
    const rights = rightsOf('scx-slo-agent', condition);
    expect(asked).toEqual(new Set(rights.keys()));
    expect(Object.fromEntries(rights)).toEqual({
      '/pods': ['list', 'watch'],
      '/namespaces': ['list', 'watch'],
      'events.k8s.io/events': ['create', 'patch'],
      '/nodes/status': ['patch'],
    });
    // Without the policy that binds it to its own node, it may touch none.
    expect([...rightsOf('scx-slo-agent').keys()]).not.toContain('/nodes/status');
  });

  it('gives the webhook what its code asks for, and nothing else', () => {
    const rights = rightsOf('scx-slo-webhook');
    expect(resourcesIn('webhook/*.ts')).toEqual(new Set(rights.keys()));
    expect(Object.fromEntries(rights)).toEqual({ '/namespaces': ['list', 'watch'] });
  });

  it('gives the certificate job its two objects by name, and nothing else', () => {
    const rights = rightsOf('scx-slo-webhook-certificate');
    expect(resourcesIn('webhook/certificate/*.ts')).toEqual(new Set(rights.keys()));
    const roles = objects.filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole');
    const rules = roles
      .filter(({ metadata }) => metadata.name === 'scx-slo-webhook-certificate')
      .flatMap((role) => role.rules as V1PolicyRule[]);
    const granted = rules.map(({ apiGroups, resources, resourceNames, verbs }) => ({
      group: apiGroups?.join(),
      resource: resources?.join(),
      name: resourceNames?.join(),
      verbs,
    }));
    expect(new Set(granted)).toEqual(new Set(API_RIGHTS));
  });

  it('grants nothing by wildcard', () => {
    const rules = condition.flatMap(({ rules: some }) => (some as V1PolicyRule[] | undefined) ?? []);
    expect(rules.length).toBeGreaterThan(0);
    for (const { apiGroups, resources, verbs } of rules)
      expect([...(apiGroups ?? []), ...(resources ?? []), ...verbs]).not.toContain('*');
  });
});

describe('the webhook configuration', () => {
  const webhooks = (): V1MutatingWebhook[] =>
    ofKind<{ webhooks: V1MutatingWebhook[] }>(objects, 'MutatingWebhookConfiguration').flatMap(
      (one) => one.webhooks,
    );

  it('can block nobody', () => {
    expect(webhooks()).toHaveLength(1);
    for (const webhook of webhooks()) {
      expect(webhook).toMatchObject({ failurePolicy: 'Ignore', sideEffects: 'None' });
      expect(webhook.timeoutSeconds).toBeLessThanOrEqual(WEBHOOK_TIMEOUT_MAX_S);
    }
  });

  it('is about pods being created and updated, elsewhere than in its own and the system’s namespaces', () => {
    const [webhook] = webhooks();
    expect(webhook?.rules).toEqual([
      {
        apiGroups: [''],
        apiVersions: ['v1'],
        resources: ['pods'],
        operations: ['CREATE', 'UPDATE'],
        scope: 'Namespaced',
      },
    ]);
    const optOut = { key: 'scx-slo.io/webhook', operator: 'NotIn', values: ['disabled'] };
    expect(webhook?.objectSelector?.matchExpressions).toEqual([optOut]);
    expect(webhook?.namespaceSelector?.matchExpressions).toEqual([
      {
        key: 'kubernetes.io/metadata.name',
        operator: 'NotIn',
        values: ['kube-system', 'kube-public', 'kube-node-lease', NAMESPACE],
      },
      optOut,
    ]);
    expect(webhook?.matchConditions?.map(({ name }) => name)).toEqual([
      'not-a-mirror-pod',
      'new-or-our-keys-changed',
    ]);
  });

  it('calls a Service that is there, on a port that it has', () => {
    for (const { clientConfig } of webhooks()) {
      const service = ofKind<{ spec: V1ServiceSpec }>(objects, 'Service').find(
        ({ metadata }) => metadata.name === clientConfig.service?.name,
      );
      expect(service?.metadata.namespace).toBe(clientConfig.service?.namespace);
      expect(service?.spec.ports?.map(({ port }) => port)).toContain(clientConfig.service?.port);
      expect(clientConfig.service?.path).toBe('/mutate');
    }
  });
});
