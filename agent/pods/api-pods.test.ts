import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apiPodOf, type PodSketch } from '../../test/fakes/api-pods.ts';
import { apiNamespace, apiPod } from './api-pod.ts';
import { ApiPods } from './api-pods.ts';
import { readPod } from './pod-target.ts';

const UID = '0a1b2c3d-0000-4000-8000-000000000001';
const SLO = { 'scx-slo.io/budget-ms': '50', 'scx-slo.io/importance': '95' };

const sketch = (more: Partial<PodSketch> = {}): PodSketch => ({ name: 'cart', uid: UID, ...more });

const known = (...sketches: PodSketch[]): ApiPods => {
  const pods = new ApiPods('node-1');
  for (const one of sketches) pods.setPod(`shop/${one.name}`, apiPod(apiPodOf(one)));
  return pods;
};

const first = (pods: ApiPods) => {
  const [target] = pods.snapshot().targets;
  if (target?.kind !== 'pod') throw new Error('no pod');
  return target;
};

describe('what is kept of a pod', () => {
  const value = fc.oneof(fc.jsonValue(), fc.constant(undefined));
  const part = (...fields: string[]) =>
    fc.option(fc.record(Object.fromEntries(fields.map((field) => [field, value]))), { nil: undefined });
  const anyPod = fc.record({
    metadata: fc.record({
      name: fc.constant('cart'),
      uid: fc.constant(UID),
      namespace: fc.constant('shop'),
      annotations: fc.oneof(value, fc.constant(SLO)),
      ownerReferences: value,
    }),
    spec: part('nodeName', 'hostNetwork', 'containers', 'initContainers', 'resources', 'overhead'),
    status: part('phase', 'podIP', 'podIPs', 'containerStatuses', 'initContainerStatuses', 'resources'),
  });

  it('reads as the whole pod does, whatever it says', () => {
    fc.assert(
      fc.property(anyPod, (pod) => {
        expect(readPod(apiPod(pod))).toEqual(readPod(pod));
      }),
    );
  });

  it('reads as the whole pod does, for a pod as they are', () => {
    const pod = apiPodOf(sketch({ annotations: SLO, containers: { main: 'ab12', log: undefined } }));
    expect(readPod(apiPod(pod))).toEqual(readPod(pod));
    expect(JSON.stringify(apiPod(pod)).length).toBeLessThan(JSON.stringify(pod).length / 2);
  });

  it('is nothing of a namespace but what is ours', () => {
    const annotations = { 'caps.scx-slo.io/max-importance': '95', 'other.example/x': 'y' };
    expect(apiNamespace({ metadata: { name: 'shop', annotations } })).toEqual({
      'caps.scx-slo.io/max-importance': '95',
    });
    expect(apiNamespace({ metadata: { name: 'shop' } })).toEqual({});
  });
});

describe('pods of an API server', () => {
  it('have the built-in caps until their namespace is known, and its own from then on', () => {
    const pods = known(sketch({ annotations: SLO }));
    expect(first(pods).slo).toMatchObject({
      importance: 90,
      clamped: [{ field: 'importance', from: 95, to: 90 }],
    });
    expect(pods.setNamespace('shop', { 'caps.scx-slo.io/max-importance': '100' })).toBe(true);
    expect(first(pods).slo).toMatchObject({ importance: 95, clamped: [] });
    expect(pods.setNamespace('shop', { 'caps.scx-slo.io/min-budget-ms': '70' })).toBe(true);
    expect(first(pods).slo).toMatchObject({ budgetMs: 70, importance: 90 });
    expect(pods.setNamespace('shop', undefined)).toBe(true);
    expect(first(pods).slo).toMatchObject({ budgetMs: 50, importance: 90 });
  });

  it('get defaults from their namespace', () => {
    const pods = known(sketch());
    expect(first(pods).slo).toBeUndefined();
    pods.setNamespace('shop', { 'scx-slo.io/budget-ms': '20' });
    expect(first(pods).slo).toMatchObject({ budgetMs: 20, source: 'namespace' });
  });

  it('may not opt out of shedding where their namespace does not allow it', () => {
    const pods = known(sketch({ annotations: { ...SLO, 'scx-slo.io/shed': 'false' } }));
    expect(first(pods).slo).toMatchObject({ shed: true });
    pods.setNamespace('shop', { 'caps.scx-slo.io/allow-unsheddable': 'true' });
    expect(first(pods).slo).toMatchObject({ shed: false });
  });

  it('hand on how much a namespace may reserve', () => {
    const pods = known();
    expect(pods.setNamespace('shop', { 'caps.scx-slo.io/max-reservation-percent': '30' })).toBe(true);
    expect(pods.snapshot().reservationCaps).toEqual(new Map([['shop', 30]]));
    expect(pods.setNamespace('shop', { 'caps.scx-slo.io/max-reservation-percent': '130' })).toBe(true);
    expect(pods.snapshot().reservationCaps).toEqual(new Map());
  });

  it('make no new snapshot for what nobody here reads', () => {
    const pods = known(sketch({ annotations: SLO }));
    const again = apiPodOf(sketch({ annotations: SLO }));
    again.status = { ...(again.status as object), conditions: [], startTime: 'now' };
    expect(pods.setPod('shop/cart', apiPod(again))).toBe(false);
    expect(
      pods.setPod('shop/cart', apiPod(apiPodOf(sketch({ annotations: SLO, podIps: ['10.0.0.8'] })))),
    ).toBe(true);
    expect(pods.deletePod('shop/cart')).toBe(true);
    expect(pods.deletePod('shop/cart')).toBe(false);
  });

  it('name a pod in each error, and cost no other pod', () => {
    const pods = known(sketch({ annotations: { 'scx-slo.io/budget-ms': 'fast' } }), {
      name: 'mail',
      uid: 'u2',
      annotations: SLO,
    });
    const { targets, errors } = pods.snapshot();
    expect(targets).toHaveLength(2);
    expect(errors).toEqual([
      expect.objectContaining({
        code: 'SLO_E_BUDGET',
        file: 'pod shop/cart',
        message: expect.stringContaining('fast'),
      }),
    ]);
  });

  it('that claim one cgroup both lose it', () => {
    const mirror = (name: string, uid: string) => {
      const pod = apiPodOf({ name, uid });
      Object.assign(pod.metadata, {
        annotations: { 'kubernetes.io/config.hash': 'h1', 'kubernetes.io/config.mirror': 'h1' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'node-1', controller: true }],
      });
      return pod;
    };
    const pods = known(sketch());
    pods.setPod('kube-system/a', apiPod(mirror('a', 'u3')));
    expect(pods.snapshot().targets.map((target) => target.kind === 'pod' && target.cgroupUid)).toEqual([
      UID,
      'h1',
    ]);
    pods.setPod('kube-system/b', apiPod(mirror('b', 'u4')));
    const { targets, errors } = pods.snapshot();
    expect(targets).toHaveLength(1);
    expect(errors.map(({ code }) => code)).toEqual(['SLO_E_CONFLICT', 'SLO_E_CONFLICT']);
  });
});
