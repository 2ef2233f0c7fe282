import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { environmentOf, milliCpus, type Pod, podsOf, qosOf, requestedMilliCpus, weightOf } from './pod.ts';

const manifests = new URL('../../manifests/demo/', import.meta.url);
const pods = readdirSync(manifests).flatMap((file) => podsOf(readFileSync(new URL(file, manifests), 'utf8')));

const pod = (env: Pod['spec']['containers'][number]['env']): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a', namespace: 'b', uid: 'u' },
  spec: { containers: [{ name: 'c', image: 'i', ...(env === undefined ? {} : { env }) }] },
});
const facts = { podIp: '10.88.0.2', hostIp: '10.88.0.1' };
const environment = (env: Pod['spec']['containers'][number]['env']): Record<string, string> => {
  const made = pod(env);
  const [container] = made.spec.containers;
  return container === undefined ? {} : environmentOf(made, container, facts);
};

test("the demo's pods all ask for the same CPU, so only the SLO tells them apart", () => {
  expect(pods.map((p) => p.metadata.name).sort()).toEqual([
    'batch-a',
    'batch-b',
    'batch-c',
    'checkout',
    'recommendations',
  ]);
  expect(new Set(pods.map(requestedMilliCpus))).toEqual(new Set([100]));
  expect(new Set(pods.map(qosOf))).toEqual(new Set(['burstable']));
  const important = pods.filter((p) => p.metadata.annotations !== undefined).map((p) => p.metadata.name);
  expect(important).toEqual(['checkout', 'recommendations']);
});

test('quantities, weights and classes are those of kubelet', () => {
  expect(['100m', '0.5', '2', undefined].map(milliCpus)).toEqual([100, 500, 2000, 0]);
  // 200m on a real node of the test bed had cpu.weight 8.
  expect(weightOf(200)).toBe(8);
  expect(weightOf(0)).toBe(1);
  expect(weightOf(1000)).toBe(39);
  const limited = pod(undefined);
  for (const container of limited.spec.containers) {
    container.resources = { requests: { cpu: '1' }, limits: { cpu: '1' } };
  }
  expect(qosOf(limited)).toBe('guaranteed');
  expect(qosOf(pod(undefined))).toBe('besteffort');
});

test('environment: values, downward API, references to what stands before', () => {
  expect(
    environment([
      { name: 'HOST', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
      { name: 'URL', value: 'http://$(HOST):7080/$(LATER)' },
      { name: 'LATER', value: 'x' },
    ]),
  ).toEqual({ HOST: '10.88.0.1', URL: 'http://10.88.0.1:7080/$(LATER)', LATER: 'x' });
  expect(() => environment([{ name: 'X', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }])).toThrow(
    'spec.nodeName',
  );
});

test('bad YAML is an error, other kinds are left out', () => {
  expect(() => podsOf('kind: [')).toThrow();
  expect(podsOf('kind: Namespace\n---\nkind: Pod\nspec: {}\n')).toHaveLength(1);
});
