import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { V1ConfigMap } from '@kubernetes/client-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseOptions as parseAgentOptions } from '../../agent/options.ts';
import { parseSignalOptions } from '../../agent/signal/options.ts';
import { parseOptions as parseCertificateOptions } from '../../webhook/certificate/options.ts';
import { parseOptions as parseWebhookOptions } from '../../webhook/options.ts';
import { fieldProblems, isKnownKind } from './fields.ts';
import {
  COMPONENTS,
  containersOf,
  idOf,
  type Manifest,
  OVERLAYS,
  ofKind,
  render,
  type Workload,
  workloadsOf,
} from './rendered.ts';

const project = join(import.meta.dirname, '../..');
const NAMESPACE = 'scx-slo-system';
const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));

/** Kinds that others define: cert-manager, OpenShift. */
const FOREIGN = ['Certificate', 'Issuer', 'SecurityContextConstraints'];
const CLUSTER_KINDS = [
  'ClusterRole',
  'ClusterRoleBinding',
  'MutatingWebhookConfiguration',
  'Namespace',
  'PriorityClass',
  'SecurityContextConstraints',
];

const overlays = new Map<string, Manifest[]>();
beforeAll(async () => {
  for (const overlay of OVERLAYS) overlays.set(overlay, await render(`manifests/overlays/${overlay}`));
}, 120_000);
const objectsOf = (overlay: string): Manifest[] => overlays.get(overlay) ?? [];

it('has an overlay for every platform of the documentation', () => {
  const platforms = ['kind', 'eks', 'gke', 'aks', 'bottlerocket', 'talos', 'openshift'];
  expect(new Set(OVERLAYS)).toEqual(
    new Set(['cert-manager', 'no-cert-manager', 'observe-only', ...platforms]),
  );
  const install = readFileSync(join(project, 'docs/install.md'), 'utf8');
  for (const name of [...OVERLAYS, ...COMPONENTS]) expect(install).toContain(`\`${name}\``);
});

describe.each(OVERLAYS)('overlay %s', (overlay) => {
  const objects = (): Manifest[] => objectsOf(overlay);
  const workloads = (): Workload[] => workloadsOf(objects());
  const ids = (): string[] => objects().map(idOf);

  it('says what it needs and whether it enforces', () => {
    const text = readFileSync(join(project, `manifests/overlays/${overlay}/kustomization.yaml`), 'utf8');
    expect(text).toMatch(/^# Enforces: /m);
  });

  it('has fields and types that Kubernetes knows, and nothing twice', () => {
    const [foreign, own] = [objects().filter((o) => !isKnownKind(o)), objects().filter(isKnownKind)];
    expect(own.flatMap((object) => fieldProblems(object).map((problem) => idOf(object) + problem))).toEqual(
      [],
    );
    for (const { kind } of foreign) expect(FOREIGN).toContain(kind);
    expect(ids().length).toBe(new Set(ids()).size);
  });

  it('keeps to its namespace', () => {
    for (const object of objects()) {
      const expected = CLUSTER_KINDS.includes(object.kind) ? undefined : NAMESPACE;
      expect([idOf(object), object.metadata.namespace]).toEqual([idOf(object), expected]);
    }
  });

  it('runs the image of this version everywhere', () => {
    const images = workloads().flatMap((workload) => containersOf(workload).map(({ image }) => image));
    const sidecars = ofKind<V1ConfigMap>(objects(), 'ConfigMap').flatMap(
      ({ data }) => data?.SCX_SLO_SIDECAR_IMAGE ?? [],
    );
    expect(new Set([...images, ...sidecars])).toEqual(new Set([`scx-slo:${version}`]));
  });

  it('gives every container as little as it can', () => {
    for (const workload of workloads()) {
      const { hostNetwork, hostPID, hostIPC } = workload.pod;
      expect([hostNetwork, hostPID, hostIPC]).toEqual([undefined, undefined, undefined]);
      for (const { name, securityContext, resources } of containersOf(workload)) {
        const isAgent = name === 'agent';
        expect(securityContext, `${workload.id} ${name}`).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
          seccompProfile: { type: 'RuntimeDefault' },
          ...(isAgent ? { runAsUser: 0 } : { runAsNonRoot: true, runAsUser: 65532 }),
        });
        expect(securityContext?.privileged ?? false).toBe(false);
        expect(securityContext?.capabilities?.add).toEqual(isAgent ? ['BPF', 'PERFMON'] : undefined);
        expect(resources?.limits?.memory).toBeDefined();
        expect(resources?.requests?.cpu).toBeDefined();
        expect(resources?.limits?.cpu).toBeUndefined();
      }
    }
  });

  it('starts programs with flags that their parsers accept', () => {
    for (const workload of workloads()) {
      for (const container of containersOf(workload)) {
        const maps = (container.envFrom ?? []).map(({ configMapRef }) => configMapRef?.name);
        const data = ofKind<V1ConfigMap>(objects(), 'ConfigMap').filter(({ metadata }) =>
          maps.includes(metadata.name),
        );
        const env: Record<string, string> = Object.assign(
          { KUBERNETES_SERVICE_HOST: '10.0.0.1' },
          ...data.map((map) => map.data),
        );
        for (const { name, value, valueFrom } of container.env ?? [])
          env[name] = value ?? valueFrom?.fieldRef?.fieldPath ?? '';
        const [program, part = ''] = container.command ?? [];
        expect(program).toBe('scx-slo');
        expect(parsed(part, container.args ?? [], env), `${workload.id} ${container.name}`).toBe('accepted');
      }
    }
  });
});

/** `accepted`, or what the part says. */
const parsed = (part: string, args: string[], env: Record<string, string>): string => {
  const parsers: Record<string, () => object | string> = {
    run: () => parseAgentOptions(args, env),
    signal: () => parseSignalOptions(args, env),
    webhook: () => parseWebhookOptions(args, env),
    'webhook-certificate': () => parseCertificateOptions(args),
  };
  const result = parsers[part]?.() ?? `no part ${part}`;
  if (typeof result === 'string') return result;
  return 'error' in result || 'code' in result ? JSON.stringify(result) : 'accepted';
};
