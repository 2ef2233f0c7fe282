import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordOf } from '../../slo/record.ts';
import { resolve } from '../../slo/resolve.ts';
import { normaliseIp } from './pod-ip.ts';
import { readPod } from './pod-target.ts';

const UID = '0a1b2c3d-0000-4000-8000-000000000001';
const HASH = 'f1a2b3c4d5e6f708192a3b4c5d6e7f80';
const nodeOwner = { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: 'n', controller: true };

const pod = (metadata: object = {}, spec: object = {}, status: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'api', namespace: 'shop', uid: UID, ...metadata },
  spec: { containers: [{ name: 'main' }, { name: 'log' }], ...spec },
  status,
});

const faultsOf = (...args: Parameters<typeof pod>) =>
  readPod(pod(...args)).faults.map((f) => `${f.code} ${f.path.join('.')}`);
const targetOf = (...args: Parameters<typeof pod>) => readPod(pod(...args)).target;

describe('readPod', () => {
  it('joins SLO, identity, containers, addresses and CPU', () => {
    const reading = readPod(
      pod(
        {
          annotations: {
            'scx-slo.io/budget-ms': '50',
            'scx-slo.io/importance': '80',
            'budget-ms.scx-slo.io/log': '1000',
          },
        },
        {
          containers: [
            { name: 'main', resources: { requests: { cpu: '250m' }, limits: { cpu: 1 } } },
            { name: 'log', resources: { limits: { cpu: '0.5' } } },
          ],
        },
        {
          podIPs: [{ ip: '10.1.2.3' }, { ip: '::ffff:10.1.2.3' }, { ip: 'FD00::1' }],
          containerStatuses: [
            { name: 'main', containerID: 'containerd://4e5f' },
            { name: 'log', containerID: 'cri-o://6a7b' },
          ],
        },
      ),
    );
    expect(reading).toEqual({
      target: {
        kind: 'pod',
        uid: UID,
        cgroupUid: UID,
        namespace: 'shop',
        name: 'api',
        slo: { budgetMs: 50, importance: 80, shed: true, source: 'pod', clamped: [] },
        containers: [
          { name: 'main', id: '4e5f' },
          {
            name: 'log',
            id: '6a7b',
            slo: { budgetMs: 1000, importance: 80, shed: true, source: 'container', clamped: [] },
          },
        ],
        podIps: ['10.1.2.3', 'fd00::1'],
        cpuRequestMilli: 750,
        cpuLimitMilli: 1500,
        problems: [],
      },
      faults: [],
    });
  });

  it('takes ordinary work as it is', () => {
    expect(targetOf()).toMatchObject({ slo: undefined, podIps: [], cpuRequestMilli: 0, problems: [] });
    expect(targetOf({ namespace: undefined })).toMatchObject({ namespace: 'default' });
    expect(targetOf()).not.toHaveProperty('cpuLimitMilli');
  });

  it.each([undefined, null, '', 7, '../../etc', 'a/b', '.hidden', 'x'.repeat(129)])(
    'refuses uid %j',
    (uid) => {
      expect(targetOf({ uid })).toBeUndefined();
      expect(faultsOf({ uid })).toEqual(['SLO_E_POD metadata.uid']);
    },
  );

  it.each([undefined, 'Upper', 'a b', '../x', ''])('refuses name %j', (name) => {
    expect(faultsOf({ name })).toEqual(['SLO_E_POD metadata.name']);
  });

  it('leaves out a pod that has ended', () => {
    for (const phase of ['Succeeded', 'Failed']) {
      expect(readPod(pod({}, {}, { phase }))).toEqual({ target: undefined, faults: [] });
    }
  });

  it('gives a pod on the host network no address', () => {
    expect(targetOf({}, { hostNetwork: true }, { podIPs: [{ ip: '192.0.2.1' }] })?.podIps).toEqual([]);
  });

  it('drops bad addresses and container ids, and says where', () => {
    const status = {
      podIPs: [{ ip: '10.0.0.1' }, { ip: '10.0.0.300' }],
      containerStatuses: [{ name: 'main', containerID: 'containerd://../../x' }],
    };
    expect(targetOf({}, {}, status)).toMatchObject({
      podIps: ['10.0.0.1'],
      containers: [{ name: 'main' }, {}],
    });
    expect(faultsOf({}, {}, status)).toEqual([
      'SLO_E_POD status.containerStatuses.0.containerID',
      'SLO_E_POD status.podIPs.1',
    ]);
  });
});

describe('identity', () => {
  const hash = { 'kubernetes.io/config.hash': HASH };
  const mirror = { ...hash, 'kubernetes.io/config.mirror': HASH };
  const cgroupUid = (metadata: object, spec: object = {}, nodeName?: string) =>
    readPod(pod(metadata, spec), { nodeName }).target?.cgroupUid;

  it('takes the hash of a mirror pod that its Node owns', () => {
    expect(cgroupUid({ annotations: mirror, ownerReferences: [nodeOwner] })).toBe(HASH);
    expect(cgroupUid({ annotations: mirror, ownerReferences: [nodeOwner] }, { nodeName: 'node-1' })).toBe(
      HASH,
    );
    expect(cgroupUid({ annotations: mirror, ownerReferences: [nodeOwner] }, {}, 'node-1')).toBe(HASH);
  });

  it.each<[string, object, object, string | undefined]>([
    ['no mirror annotation', { annotations: hash, ownerReferences: [nodeOwner] }, {}, undefined],
    ['no owner', { annotations: mirror }, {}, undefined],
    [
      'an owner that does not control',
      { annotations: mirror, ownerReferences: [{ ...nodeOwner, controller: false }] },
      {},
      undefined,
    ],
    [
      'an owner of another kind',
      { annotations: mirror, ownerReferences: [{ ...nodeOwner, kind: 'ReplicaSet' }] },
      {},
      undefined,
    ],
    [
      'another node',
      { annotations: mirror, ownerReferences: [nodeOwner] },
      { nodeName: 'node-2' },
      undefined,
    ],
    [
      'not the node of the agent',
      { annotations: mirror, ownerReferences: [nodeOwner] },
      { nodeName: 'node-1' },
      'node-2',
    ],
    [
      'a hash that is a path',
      { annotations: { ...mirror, 'kubernetes.io/config.hash': '../x' }, ownerReferences: [nodeOwner] },
      {},
      undefined,
    ],
  ])('ignores the hash with %s', (_what, metadata, spec, nodeName) => {
    expect(cgroupUid(metadata, spec, nodeName)).toBe(UID);
  });
});

describe('annotations', () => {
  it('reports bad values at their keys, and keeps them in the target', () => {
    const annotations = { 'scx-slo.io/budget-ms': 'fast', 'scx-slo.io/importance': '70' };
    expect(faultsOf({ annotations })).toEqual(['SLO_E_BUDGET metadata.annotations.scx-slo.io/budget-ms']);
    expect(targetOf({ annotations })).toMatchObject({
      slo: { budgetMs: 100, importance: 70 },
      problems: [{ code: 'SLO_E_BUDGET' }],
    });
  });

  it('works from raw annotations and only compares the record', () => {
    const raw = { 'scx-slo.io/budget-ms': '50', 'scx-slo.io/importance': '95' };
    const record = Object.fromEntries(
      recordOf(resolve({ annotations: raw, containerNames: ['main', 'log'] })),
    );
    expect(readPod(pod({ annotations: { ...raw, ...record } })).faults).toEqual([]);
    const forged = { ...raw, ...record, 'effective.scx-slo.io/importance': '100' };
    expect(targetOf({ annotations: forged })?.slo?.importance).toBe(90);
    expect(readPod(pod({ annotations: forged })).faults).toEqual([
      {
        code: 'SLO_E_DRIFT',
        path: ['metadata', 'annotations', 'effective.scx-slo.io/importance'],
        message:
          'effective.scx-slo.io/importance: the record says "100", the annotations resolve to "90"; the latter holds',
      },
    ]);
  });

  it('gives a pod with only a record no SLO', () => {
    const annotations = { 'effective.scx-slo.io/budget-ms': '5' };
    expect(targetOf({ annotations })?.slo).toBeUndefined();
    expect(faultsOf({ annotations })).toEqual([
      'SLO_E_DRIFT metadata.annotations.effective.scx-slo.io/budget-ms',
    ]);
  });
});

describe('CPU of a pod', () => {
  const cpu = (spec: object) => {
    const target = targetOf({}, spec);
    return [target?.cpuRequestMilli, target?.cpuLimitMilli];
  };
  const container = (request?: unknown, limit?: unknown, more: object = {}) => ({
    name: 'c',
    resources: { requests: { cpu: request }, limits: { cpu: limit } },
    ...more,
  });

  it('sums containers; one without a limit means none', () => {
    expect(cpu({ containers: [container('100m', '200m'), container('1', '2')] })).toEqual([1100, 2200]);
    expect(cpu({ containers: [container('100m', '200m'), container('1')] })).toEqual([1100, undefined]);
    expect(cpu({ containers: [container('100m', '0')] })).toEqual([100, undefined]);
  });

  it('counts the largest init container beside the sidecars before it', () => {
    const sidecar = container('100m', '100m', { restartPolicy: 'Always' });
    expect(cpu({ containers: [container('200m', '200m')], initContainers: [container('1', '1')] })).toEqual([
      1000, 1000,
    ]);
    expect(cpu({ containers: [container('200m', '200m')], initContainers: [sidecar] })).toEqual([300, 300]);
    expect(
      cpu({ containers: [container('200m', '200m')], initContainers: [sidecar, container('1', '1')] }),
    ).toEqual([1100, 1100]);
  });

  it('puts pod-level resources first, and overhead on top', () => {
    const resources = { requests: { cpu: '3' }, limits: { cpu: '4' } };
    expect(cpu({ containers: [container('1', '1')], resources, overhead: { cpu: '250m' } })).toEqual([
      3250, 4250,
    ]);
  });

  it('ignores a bad quantity with its place', () => {
    expect(faultsOf({}, { containers: [container('100'), container('-1', 'lots')] })).toEqual([
      'SLO_E_QUANTITY spec.containers.1.resources.limits.cpu',
      'SLO_E_QUANTITY spec.containers.1.resources.requests.cpu',
    ]);
  });
});

describe('any JSON', () => {
  it('never crashes, and yields a target only with a usable identity', () => {
    const field = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(UID, 'api', 'shop'));
    const object = fc.record(
      {
        metadata: fc.record({
          uid: field,
          name: field,
          namespace: field,
          annotations: field,
          ownerReferences: field,
        }),
        spec: fc.record({
          containers: fc.array(fc.record({ name: field, resources: field })),
          overhead: field,
        }),
        status: fc.record({
          podIPs: fc.array(fc.record({ ip: field })),
          containerStatuses: field,
          podIP: field,
        }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(object, fc.dictionary(fc.string(), fc.jsonValue())), (value) => {
        const { target, faults } = readPod(value);
        expect(target !== undefined || faults.length > 0).toBe(true);
        if (target !== undefined) {
          expect(target.cgroupUid).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
          expect(target.podIps.every((ip) => normaliseIp(ip) === ip)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('normaliseIp', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:a00:1', '10.0.0.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['fe80::1%eth0', undefined],
    ['10.0.0.01', undefined],
    ['', undefined],
    [7, undefined],
  ])('%j is %j', (text, ip) => {
    expect(normaliseIp(text)).toBe(ip);
  });
});

describe('a pod whose status says more', () => {
  const sized = (cpu: string) => ({ requests: { cpu }, limits: { cpu } });

  it('claims what it really has, not what a resize asks for', () => {
    const resized = targetOf(
      {},
      { containers: [{ name: 'main', resources: sized('64') }] },
      { containerStatuses: [{ name: 'main', containerID: 'containerd://4e5f', resources: sized('500m') }] },
    );
    expect(resized).toMatchObject({ cpuRequestMilli: 500, cpuLimitMilli: 500 });
  });

  it('claims what it asks for while its containers have nothing yet', () => {
    const status = { containerStatuses: [{ name: 'main', resources: {} }] };
    const starting = targetOf({}, { containers: [{ name: 'main', resources: sized('250m') }] }, status);
    expect(starting).toMatchObject({ cpuRequestMilli: 250, cpuLimitMilli: 250 });
  });

  it('claims what it has as a whole where that is said', () => {
    const whole = targetOf({}, { resources: sized('8') }, { resources: sized('2') });
    expect(whole).toMatchObject({ cpuRequestMilli: 2000, cpuLimitMilli: 2000 });
  });

  it('counts a sidecar that was resized', () => {
    const spec = {
      containers: [{ name: 'main', resources: sized('100m') }],
      initContainers: [{ name: 'proxy', restartPolicy: 'Always', resources: sized('4') }],
    };
    const status = { initContainerStatuses: [{ name: 'proxy', resources: sized('300m') }] };
    expect(targetOf({}, spec, status)).toMatchObject({ cpuRequestMilli: 400, cpuLimitMilli: 400 });
  });

  it('knows init, sidecar and ephemeral containers by their names', () => {
    const named = targetOf(
      { annotations: { 'scx-slo.io/budget-ms': '50', 'budget-ms.scx-slo.io/debug-x': '10' } },
      { initContainers: [{ name: 'setup' }, { name: 'proxy', restartPolicy: 'Always' }] },
      {
        containerStatuses: [{ name: 'main', containerID: 'containerd://a1' }],
        initContainerStatuses: [
          { name: 'setup', containerID: 'containerd://b2' },
          { name: 'proxy', containerID: 'containerd://c3' },
        ],
        ephemeralContainerStatuses: [{ name: 'debug-x', containerID: 'cri-o://d4' }],
      },
    );
    expect(named?.containers).toEqual([
      { name: 'main', id: 'a1' },
      { name: 'log' },
      { name: 'setup', id: 'b2' },
      { name: 'proxy', id: 'c3' },
      { name: 'debug-x', id: 'd4' },
    ]);
    expect(named?.problems.map(({ code }) => code)).toEqual(['SLO_E_UNKNOWN_CONTAINER']);
  });
});

describe('the reports of a pod count for others', () => {
  const KEY = 'caps.scx-slo.io/trust-reports';

  it.each([
    [{ [KEY]: 'true' }, true],
    [{ [KEY]: 'false' }, undefined],
    [{ [KEY]: 'yes' }, undefined],
    [undefined, undefined],
  ])('with %j on its namespace: %s', (namespaceAnnotations, trusted) => {
    expect(readPod(pod(), { namespaceAnnotations }).target?.trustsReports).toBe(trusted);
  });

  it('never because the pod says so', () => {
    expect(targetOf({ annotations: { [KEY]: 'true' } })?.trustsReports).toBeUndefined();
  });
});
