import type {
  V1ClusterRoleBinding,
  V1Container,
  V1NetworkPolicySpec,
  V1PodDisruptionBudgetSpec,
  V1Probe,
  V1ServiceSpec,
} from '@kubernetes/client-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { resolve } from '../../slo/resolve.ts';
import {
  containersOf,
  idOf,
  type Manifest,
  OVERLAYS,
  ofKind,
  portOf,
  render,
  selectedBy,
  type Workload,
  workloadsOf,
} from './rendered.ts';

const NAMESPACE = 'scx-slo-system';

const overlays = new Map<string, Manifest[]>();
beforeAll(async () => {
  for (const overlay of OVERLAYS) overlays.set(overlay, await render(`manifests/overlays/${overlay}`));
}, 120_000);

const probesOf = ({ livenessProbe, readinessProbe, startupProbe }: V1Container): V1Probe[] =>
  [livenessProbe, readinessProbe, startupProbe].filter((probe) => probe !== undefined);

describe.each(OVERLAYS)('overlay %s', (overlay) => {
  const objects = (): Manifest[] => overlays.get(overlay) ?? [];
  const workloads = (): Workload[] => workloadsOf(objects());
  const ids = (): string[] => objects().map(idOf);
  const policies = () => ofKind<{ spec: V1NetworkPolicySpec }>(objects(), 'NetworkPolicy');

  it('mounts what it declares, and declares what it mounts', () => {
    for (const workload of workloads()) {
      const declared = (workload.pod.volumes ?? []).map(({ name }) => name);
      const mounted = containersOf(workload).flatMap(({ volumeMounts }) =>
        (volumeMounts ?? []).map(({ name }) => name),
      );
      expect(new Set(mounted)).toEqual(new Set(declared));
    }
  });

  it('refers to ConfigMaps, Secrets, service accounts and priority classes that are there', () => {
    const secrets = [
      ...ofKind(objects(), 'Secret').map(({ metadata }) => metadata.name),
      ...ofKind<{ spec: { secretName: string } }>(objects(), 'Certificate').map(
        ({ spec }) => spec.secretName,
      ),
    ];
    for (const { pod } of workloads()) {
      expect(ids()).toContain(`ServiceAccount/${pod.serviceAccountName}`);
      expect(ids()).toContain(`PriorityClass/${pod.priorityClassName}`);
      for (const { secret } of pod.volumes ?? []) if (secret) expect(secrets).toContain(secret.secretName);
      for (const { configMapRef } of pod.containers.flatMap(({ envFrom }) => envFrom ?? []))
        expect(ids()).toContain(`ConfigMap/${configMapRef?.name}`);
    }
  });

  it('has Services and budgets that select one workload, and ports that it has', () => {
    for (const { metadata, spec } of ofKind<{ spec: V1ServiceSpec }>(objects(), 'Service')) {
      const [workload, ...others] = selectedBy(workloads(), spec.selector);
      expect(others.map(({ id }) => id)).toEqual([]);
      for (const { targetPort } of spec.ports ?? [])
        expect(workload && portOf(workload, targetPort), `${metadata.name} ${targetPort}`).toBeDefined();
    }
    for (const { spec } of ofKind<{ spec: V1PodDisruptionBudgetSpec }>(objects(), 'PodDisruptionBudget'))
      expect(selectedBy(workloads(), spec.selector?.matchLabels)).toHaveLength(1);
  });

  it('denies all traffic but what one network policy for each workload allows', () => {
    const general = policies().filter(({ spec }) => spec.podSelector?.matchLabels === undefined);
    expect(general.map(({ spec }) => spec)).toEqual([
      { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
    ]);
    const special = policies().filter((policy) => !general.includes(policy));
    for (const workload of workloads()) {
      const own = special.filter(
        ({ spec }) => selectedBy([workload], spec.podSelector?.matchLabels).length > 0,
      );
      expect([workload.id, own.length]).toEqual([workload.id, 1]);
      const ports = own.flatMap(({ spec }) => spec.ingress ?? []).flatMap(({ ports = [] }) => ports);
      // observe-only has the agent's policy and no signal.
      const expected = overlay === 'observe-only' ? ports.filter(({ port }) => port === 'metrics') : ports;
      for (const { port } of expected) expect(portOf(workload, port), `${workload.id} ${port}`).toBeDefined();
    }
  });

  it('probes ports that its containers have', () => {
    for (const workload of workloads().filter(({ id }) => /DaemonSet|Deployment/.test(id))) {
      for (const container of containersOf(workload)) {
        const probes = probesOf(container);
        expect(probes.length).toBeGreaterThanOrEqual(2);
        for (const { httpGet } of probes)
          expect(container.ports?.map(({ name }) => name)).toContain(httpGet?.port);
      }
    }
  });

  it('gives the container that answers the pods a budget of its own, and names no container that is not there', () => {
    for (const workload of workloads()) {
      const containerNames = containersOf(workload).map(({ name }) => name);
      const { pod, containers, problems } = resolve({ annotations: workload.annotations, containerNames });
      expect([workload.id, pod, problems]).toEqual([workload.id, undefined, []]);
      const expected = containerNames.includes('signal') ? [['signal', { budgetMs: 2, importance: 90 }]] : [];
      expect(
        [...containers].map(([name, { budgetMs, importance }]) => [name, { budgetMs, importance }]),
      ).toEqual(expected);
    }
  });

  it('binds roles that are there to service accounts that are there', () => {
    const bindings = ['ClusterRoleBinding', 'RoleBinding'].flatMap((kind) =>
      ofKind<V1ClusterRoleBinding>(objects(), kind),
    );
    for (const { roleRef, subjects } of bindings) {
      if (!roleRef.name.startsWith('system:')) expect(ids()).toContain(`${roleRef.kind}/${roleRef.name}`);
      for (const { kind, name, namespace } of subjects ?? []) {
        expect(ids()).toContain(`${kind}/${name}`);
        expect(namespace).toBe(NAMESPACE);
      }
    }
  });
});
