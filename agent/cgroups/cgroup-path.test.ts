import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { containerCgroupPath, type PodPlace, podCgroupPath } from '../../test/fakes/kubelet-cgroups.ts';
import { parseCgroupPath } from './cgroup-path.ts';

const UID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const UID_ = UID.replaceAll('-', '_');
const ID = 'a1'.repeat(32);

describe('paths seen on real nodes', () => {
  const inContainer = (qos: string, runtime: string | undefined, depth = 0) => ({
    kind: 'container',
    podUid: UID,
    qos,
    containerId: ID,
    runtime,
    depth,
  });
  it.each([
    ['/kubepods', { kind: 'pods-root' }],
    ['/kubepods.slice', { kind: 'pods-root' }],
    ['/kubelet.slice/kubelet-kubepods.slice', { kind: 'pods-root' }],
    ['/kubepods/burstable', { kind: 'qos', qos: 'burstable' }],
    ['/kubepods.slice/kubepods-besteffort.slice', { kind: 'qos', qos: 'besteffort' }],
    [`/kubepods/pod${UID}`, { kind: 'pod', podUid: UID, qos: 'guaranteed' }],
    [`/kubepods.slice/kubepods-pod${UID_}.slice`, { kind: 'pod', podUid: UID, qos: 'guaranteed' }],
    [
      `/system.slice/docker-${ID}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod${UID_}.slice`,
      { kind: 'pod', podUid: UID, qos: 'burstable' },
    ],
    [`/docker/${ID}/kubepods/besteffort/pod${UID}`, { kind: 'pod', podUid: UID, qos: 'besteffort' }],
    [
      '/kubepods/burstable/pod2b9f5dbf2c4a7d1f0c8e6a4b3d5c7e9f',
      { kind: 'pod', podUid: '2b9f5dbf2c4a7d1f0c8e6a4b3d5c7e9f', qos: 'burstable' },
    ],
    [`/kubepods/pod${UID}/${ID}`, inContainer('guaranteed', undefined)],
    [
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UID_}.slice/cri-containerd-${ID}.scope`,
      inContainer('burstable', 'containerd'),
    ],
    [
      `/kubepods.slice/kubepods-pod${UID_}.slice/crio-${ID}.scope/container`,
      inContainer('guaranteed', 'cri-o', 1),
    ],
    [`/kubepods/besteffort/pod${UID}/crio-${ID}`, inContainer('besteffort', 'cri-o')],
    [`/kubepods.slice/kubepods-pod${UID_}.slice/docker-${ID}.scope`, inContainer('guaranteed', 'docker')],
    [
      `/kubepods.slice/kubepods-pod${UID_}.slice/crio-conmon-${ID}.scope`,
      { kind: 'in-pod', podUid: UID, qos: 'guaranteed' },
    ],
    [`/kubepods/pod${UID}/kata_${ID}`, { kind: 'in-pod', podUid: UID, qos: 'guaranteed' }],
    ['/kubepods/critical/payment-api', { kind: 'other' }],
    ['/system.slice/ssh.service', { kind: 'other' }],
    ['/mykubepods/podx', { kind: 'other' }],
    ['/', { kind: 'other' }],
    ['', { kind: 'other' }],
  ])('%s', (path, place) => {
    expect(parseCgroupPath(path)).toEqual(place);
  });
});

it('keeps a pod in its own name when it creates directories that look like another pod', () => {
  const inside = `/kubepods/podvictim-of-itself/${ID}/kubepods/burstable/pod${UID}`;
  expect(parseCgroupPath(inside)).toMatchObject({ kind: 'container', podUid: 'victim-of-itself' });
});

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const place: fc.Arbitrary<PodPlace> = fc.record({
  driver: fc.constantFrom('systemd', 'cgroupfs'),
  qos: fc.constantFrom('guaranteed', 'burstable', 'besteffort'),
  uid: fc.oneof(fc.uuid(), hex(32)),
  cgroupRoot: fc.constantFrom('', 'kubelet', 'k3s'),
  prefix: fc.constantFrom('', `/docker/${ID}`, `/system.slice/docker-${ID}.scope`),
});

describe('round trips', () => {
  it('gives back the pod that a path was made for', () => {
    void fc.assert(
      fc.property(place, (pod) => {
        expect(parseCgroupPath(podCgroupPath(pod))).toEqual({ kind: 'pod', podUid: pod.uid, qos: pod.qos });
      }),
    );
  });

  it('gives back the container that a path was made for', () => {
    const runtime = fc.constantFrom('containerd', 'crio', 'crio-crun', 'docker');
    void fc.assert(
      fc.property(place, runtime, hex(64), (pod, name, id) => {
        expect(parseCgroupPath(containerCgroupPath(pod, name, id))).toMatchObject({
          kind: 'container',
          podUid: pod.uid,
          containerId: id,
          qos: pod.qos,
        });
      }),
    );
  });

  it('answers for any string', () => {
    void fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (path) => {
        expect(parseCgroupPath(`/kubepods/${path}`).kind).toMatch(
          /^(pods-root|qos|pod|container|in-pod|other)$/,
        );
      }),
    );
  });
});
