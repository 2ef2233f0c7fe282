import { describe, expect, it } from 'vitest';
import { admissionFixture } from '../test/fixtures/admission.ts';
import type { AdmissionRequest } from './admission-review.ts';
import { type AdmissionPolicy, DEFAULT_POLICY, mutate } from './mutate.ts';
import { applyPatch } from './patch.ts';
import { selfCheck } from './self-check.ts';

interface Pod {
  metadata: { annotations: Record<string, string> };
  spec: {
    containers: Record<string, unknown>[];
    initContainers?: Record<string, unknown>[];
    hostNetwork?: boolean;
    restartPolicy?: string;
  };
}

const NATIVE: AdmissionPolicy = { ...DEFAULT_POLICY, sidecar: { image: 'scx-slo:0.1', kind: 'native' } };
const CONTAINER: AdmissionPolicy = {
  ...DEFAULT_POLICY,
  sidecar: { image: 'scx-slo:0.1', kind: 'container' },
};

const asked = (change: (pod: Pod) => void = () => {}): AdmissionRequest & { object: Pod } => {
  const { request } = admissionFixture('create-inject-sidecar') as {
    request: AdmissionRequest & { object: Pod };
  };
  change(request.object);
  return request;
};

const admitted = (request: AdmissionRequest, policy: AdmissionPolicy) => {
  const { ops, warnings } = mutate(request, policy);
  expect(selfCheck(request, ops, (again) => mutate(again, policy))).toBeUndefined();
  return { warnings, ops, spec: (applyPatch(request.object, ops) as Pod).spec };
};

const named = (list: readonly Record<string, unknown>[] | undefined) => list?.map(({ name }) => name);

describe('sidecar', () => {
  it('is a native one, before all others, with no right that a restricted namespace refuses', () => {
    const { spec, warnings } = admitted(asked(), NATIVE);
    expect(warnings).toEqual([]);
    expect(named(spec.initContainers)).toEqual(['scx-slo-sidecar', 'migrate']);
    expect(spec.initContainers?.[0]).toEqual({
      name: 'scx-slo-sidecar',
      image: 'scx-slo:0.1',
      args: ['sidecar'],
      env: [
        { name: 'SCX_SLO_APP_PORT', value: '8080' },
        { name: 'SCX_SLO_ENDPOINT', value: 'http://scx-slo-signal.scx-slo-system.svc:7080' },
      ],
      ports: [
        { name: 'scx-slo', containerPort: 8429, protocol: 'TCP' },
        { name: 'scx-slo-health', containerPort: 8430, protocol: 'TCP' },
      ],
      startupProbe: {
        httpGet: { path: '/healthz', port: 'scx-slo-health' },
        periodSeconds: 1,
        failureThreshold: 30,
      },
      readinessProbe: { httpGet: { path: '/readyz', port: 'scx-slo-health' } },
      resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '128Mi' } },
      restartPolicy: 'Always',
      securityContext: {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      },
    });
  });

  it('gives the endpoint to every container, init containers too', () => {
    const { spec } = admitted(asked(), NATIVE);
    for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
      expect(container.env).toContainEqual({
        name: 'SCX_SLO_ENDPOINT',
        value: 'http://scx-slo-signal.scx-slo-system.svc:7080',
      });
    }
  });

  it('makes the list of init containers where there is none', () => {
    const without = asked((pod) => delete pod.spec.initContainers);
    expect(named(admitted(without, NATIVE).spec.initContainers)).toEqual(['scx-slo-sidecar']);
  });

  it('is an ordinary container for an older cluster, and not at all in a pod that should end', () => {
    expect(named(admitted(asked(), CONTAINER).spec.containers)).toEqual(['api', 'log', 'scx-slo-sidecar']);
    const job = asked((pod) => {
      pod.spec.restartPolicy = 'Never';
    });
    expect(admitted(job, CONTAINER).warnings).toEqual([
      'scx-slo.io/inject: "sidecar": before Kubernetes 1.29 it would keep the pod from ending; only SCX_SLO_ENDPOINT was added',
    ]);
    expect(named(admitted(job, NATIVE).spec.initContainers)).toEqual(['scx-slo-sidecar', 'migrate']);
  });

  it('keeps a guaranteed pod guaranteed', () => {
    const guaranteed = asked((pod) => {
      const resources = { limits: { cpu: '2', memory: '1Gi' }, requests: { cpu: '2', memory: '1Gi' } };
      for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
        container.resources = resources;
      }
    });
    const same = { cpu: '500m', memory: '128Mi' };
    expect(admitted(guaranteed, NATIVE).spec.initContainers?.[0]).toMatchObject({
      resources: { requests: same, limits: same },
    });
  });

  it('leaves the user id to a namespace that assigns it', () => {
    const openshift: AdmissionPolicy = {
      ...NATIVE,
      namespaces: {
        get: () => ({ annotations: { 'openshift.io/sa.scc.uid-range': '1000660000/10000' }, labels: {} }),
        state: () => 'synced',
        size: () => 1,
      },
    };
    expect(admitted(asked(), openshift).spec.initContainers?.[0]).not.toHaveProperty(
      'securityContext.runAsUser',
    );
  });

  it.each<[string, (pod: Pod) => void, string]>([
    [
      'without a port',
      (pod) => delete pod.metadata.annotations['scx-slo.io/app-port'],
      'scx-slo.io/inject: "sidecar" needs scx-slo.io/app-port (1 .. 65535)',
    ],
    [
      "in front of the sidecar's own port",
      (pod) => Object.assign(pod.metadata.annotations, { 'scx-slo.io/app-port': '8429' }),
      'scx-slo.io/inject: "sidecar": port 8429 is the sidecar\'s own; only SCX_SLO_ENDPOINT was added',
    ],
    [
      'on the host network',
      (pod) => Object.assign(pod.spec, { hostNetwork: true }),
      'scx-slo.io/inject: "sidecar": a pod on the host network has no address of its own; only SCX_SLO_ENDPOINT was added',
    ],
  ])('is not added %s, and the person is told', (_where, change, warning) => {
    const { spec, warnings } = admitted(asked(change), NATIVE);
    expect(named(spec.initContainers)).toEqual(['migrate']);
    expect(warnings).toEqual([warning]);
  });

  it('is never added twice, nor on UPDATE', () => {
    const once = asked();
    once.object.spec = admitted(once, NATIVE).spec;
    expect(admitted(once, NATIVE).spec).toEqual(once.object.spec);
    expect(admitted({ ...asked(), operation: 'UPDATE' }, NATIVE).ops).not.toContainEqual(
      expect.objectContaining({ path: expect.stringMatching('^/spec') }),
    );
  });

  it.each([
    ['another name', { name: 'other' }],
    ['a privilege', { securityContext: { privileged: true } }],
    ['a volume', { volumeMounts: [] }],
  ])('does not pass the self-check with %s', (_what, change) => {
    const request = asked();
    const { ops } = mutate(request, NATIVE);
    const forged = ops.map((op) =>
      op.path === '/spec/initContainers/0' && 'value' in op
        ? { ...op, value: { ...(op.value as object), ...change } }
        : op,
    );
    expect(selfCheck(request, forged, () => ({ decision: 'unchanged', ops: [], warnings: [] }))).toBe(
      'the patch leaves the allowed paths',
    );
  });
});
