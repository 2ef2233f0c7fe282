/**
 * What a cgroup path says: which pod, which container. Pure.
 *
 * Names as kubelet and the runtimes make them (cgroup v2); `U_` is the pod's uid with `-` written as `_`:
 *
 *     systemd   [x-]kubepods.slice/[[x-]kubepods-burstable.slice/][x-]kubepods[-burstable]-podU_.slice
 *     cgroupfs  kubepods/[burstable/]pod<uid>
 *     below     cri-containerd-<id>.scope | crio-<id>.scope[/container] | docker-<id>.scope | <64 hex> | crio-<id>
 *
 * Anything may come before the pods' root (kind and k3d put a container's path there). Only the first root, and
 * the first pod below it, count: a pod that may write to its own cgroup cannot make itself another pod by
 * creating directories with such names.
 */

export type QosClass = 'guaranteed' | 'burstable' | 'besteffort';

/** undefined: the name does not tell (cgroupfs driver of containerd and of cri-dockerd). */
export type ContainerRuntime = 'containerd' | 'cri-o' | 'docker' | 'podman' | undefined;

export type CgroupPlace =
  /** `kubepods`, or a slice whose name ends so. */
  | { kind: 'pods-root' }
  | { kind: 'qos'; qos: QosClass }
  | { kind: 'pod'; podUid: string; qos: QosClass }
  | {
      kind: 'container';
      podUid: string;
      qos: QosClass;
      containerId: string;
      runtime: ContainerRuntime;
      /** Path components below the container's own cgroup; crun's `/container` gives 1. */
      depth: number;
    }
  /** Inside a pod, but no container: conmon, a kata sandbox, a directory that we do not know. */
  | { kind: 'in-pod'; podUid: string; qos: QosClass }
  | { kind: 'other' };

const OTHER: CgroupPlace = { kind: 'other' };
const PODS_ROOT: CgroupPlace = { kind: 'pods-root' };

const ROOT_COMPONENT = /^(?:kubepods|(?:.+-)?kubepods\.slice)$/;
const QOS_COMPONENT = /^(?:(burstable|besteffort)|(?:.+-)?kubepods-(burstable|besteffort)\.slice)$/;
const POD_COMPONENT = /^pod(.+)$/;
const POD_SLICE = /^(?:.+-)?kubepods(?:-(?:burstable|besteffort))?-pod([^-]+)\.slice$/;

const CONTAINER_NAMES: readonly { pattern: RegExp; runtime: ContainerRuntime }[] = [
  { pattern: /^cri-containerd-([0-9a-zA-Z][\w.-]*?)\.scope$/, runtime: 'containerd' },
  { pattern: /^crio-(?!conmon-)([0-9a-f]{12,64})(?:\.scope)?$/, runtime: 'cri-o' },
  { pattern: /^docker-([0-9a-f]{12,64})\.scope$/, runtime: 'docker' },
  { pattern: /^libpod-(?!conmon-)([0-9a-f]{12,64})(?:\.scope)?$/, runtime: 'podman' },
  { pattern: /^([0-9a-f]{64})$/, runtime: undefined },
];

/** Uid that a pod's directory names, in the API's spelling (`-`); undefined where it is no pod's directory. */
const podUidOf = (component: string): string | undefined => {
  const slice = POD_SLICE.exec(component);
  if (slice?.[1] !== undefined) return slice[1].replaceAll('_', '-');
  if (component.endsWith('.slice')) return undefined;
  return POD_COMPONENT.exec(component)?.[1];
};

const containerOf = (component: string): { id: string; runtime: ContainerRuntime } | undefined => {
  for (const { pattern, runtime } of CONTAINER_NAMES) {
    const id = pattern.exec(component)?.[1];
    if (id !== undefined) return { id, runtime };
  }
  return undefined;
};

const placeInPod = (podUid: string, qos: QosClass, below: readonly string[]): CgroupPlace => {
  const first = below[0];
  if (first === undefined) return { kind: 'pod', podUid, qos };
  const container = containerOf(first);
  if (container === undefined) return { kind: 'in-pod', podUid, qos };
  const { id: containerId, runtime } = container;
  return { kind: 'container', podUid, qos, containerId, runtime, depth: below.length - 1 };
};

/** @param path from the hierarchy's root, starting with `/`. Never throws: what is unknown is `other`. */
export const parseCgroupPath = (path: string): CgroupPlace => {
  if (!path.includes('kubepods')) return OTHER;
  const components = path.split('/').filter((component) => component !== '');
  const root = components.findIndex((component) => ROOT_COMPONENT.test(component));
  if (root < 0) return OTHER;
  let next = root + 1;
  let qos: QosClass = 'guaranteed';
  const level = QOS_COMPONENT.exec(components[next] ?? '');
  if (level !== null) {
    qos = (level[1] ?? level[2]) as QosClass;
    next += 1;
  }
  const podComponent = components[next];
  if (podComponent === undefined) return level === null ? PODS_ROOT : { kind: 'qos', qos };
  const podUid = podUidOf(podComponent);
  return podUid === undefined ? OTHER : placeInPod(podUid, qos, components.slice(next + 1));
};
