/**
 * Which cgroup is a pod's. Kubelet names it after the pod's UID; a static pod's cgroup carries the hash of its
 * manifest instead, while the API shows a mirror pod with another UID. Anybody can write that hash as an
 * annotation, so it counts only on a real mirror: one that a Node owns.
 */
import { MIRROR_KEY, STATIC_HASH_KEY } from '../../slo/annotations.ts';
import { type JsonRecord, recordOf, recordsOf, textOf } from './json-view.ts';
import type { PodFault } from './pod-fault.ts';

export interface PodIdentity {
  uid: string;
  cgroupUid: string;
  namespace: string;
  name: string;
}

/** Part of a cgroup's name, so neither a path nor a hidden file. Static manifests may carry any other text. */
const UID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** DNS-1123, loosely. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** @param nodeName the node of this agent; without it the node that the pod names */
export function podIdentity(pod: JsonRecord, nodeName?: string): PodIdentity | PodFault {
  const metadata = recordOf(pod.metadata) ?? {};
  const { uid, name, namespace = 'default' } = metadata;
  const fault = (field: string, message: string): PodFault => ({
    code: 'SLO_E_POD',
    path: ['metadata', field],
    message,
  });
  if (typeof name !== 'string' || !NAME.test(name)) {
    return fault('name', 'metadata.name is missing or not a DNS name; the pod is left out');
  }
  if (typeof namespace !== 'string' || !NAME.test(namespace)) {
    return fault('namespace', `pod ${name}: metadata.namespace is not a DNS name; the pod is left out`);
  }
  if (typeof uid !== 'string' || !UID.test(uid)) {
    const message = `pod ${namespace}/${name}: metadata.uid is missing or unusable, so its cgroup cannot be named; the pod is left out`;
    return fault('uid', message);
  }
  return { uid, cgroupUid: mirrorHash(pod, metadata, nodeName) ?? uid, namespace, name };
}

function mirrorHash(pod: JsonRecord, metadata: JsonRecord, nodeName?: string): string | undefined {
  const annotations = recordOf(metadata.annotations) ?? {};
  const hash = textOf(annotations[STATIC_HASH_KEY]);
  const node = nodeName ?? textOf(recordOf(pod.spec)?.nodeName);
  const isMirror =
    Object.hasOwn(annotations, MIRROR_KEY) &&
    recordsOf(metadata.ownerReferences).some(
      (owner) =>
        owner.controller === true &&
        owner.kind === 'Node' &&
        owner.apiVersion === 'v1' &&
        (node === undefined || owner.name === node),
    );
  return isMirror && hash !== undefined && UID.test(hash) ? hash : undefined;
}
