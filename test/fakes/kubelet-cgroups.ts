/** Cgroup paths as kubelet and the container runtimes name them, for tests and demos: parseCgroupPath backwards. */
import type { QosClass } from '../../agent/cgroups/cgroup-path.ts';

export type CgroupDriver = 'systemd' | 'cgroupfs';
export type RuntimeName = 'containerd' | 'crio' | 'crio-crun' | 'docker';

export interface PodPlace {
  driver: CgroupDriver;
  qos: QosClass;
  uid: string;
  /** kubelet's --cgroup-root as one name, `kubelet` in kind; empty: the hierarchy's root. */
  cgroupRoot?: string;
  /** What the host puts before it, for example `/system.slice/docker-<id>.scope`. */
  prefix?: string;
}

const systemdPath = (place: PodPlace): string => {
  const names = place.cgroupRoot ? [place.cgroupRoot, 'kubepods'] : ['kubepods'];
  if (place.qos !== 'guaranteed') names.push(place.qos);
  names.push(`pod${place.uid.replaceAll('-', '_')}`);
  return names.map((_, depth) => `/${names.slice(0, depth + 1).join('-')}.slice`).join('');
};

const cgroupfsPath = (place: PodPlace): string => {
  const names = place.cgroupRoot ? [place.cgroupRoot, 'kubepods'] : ['kubepods'];
  if (place.qos !== 'guaranteed') names.push(place.qos);
  return `/${[...names, `pod${place.uid}`].join('/')}`;
};

export const podCgroupPath = (place: PodPlace): string =>
  `${place.prefix ?? ''}${place.driver === 'systemd' ? systemdPath(place) : cgroupfsPath(place)}`;

const CONTAINER_NAME: Record<CgroupDriver, Record<RuntimeName, (id: string) => string>> = {
  systemd: {
    containerd: (id) => `cri-containerd-${id}.scope`,
    crio: (id) => `crio-${id}.scope`,
    'crio-crun': (id) => `crio-${id}.scope/container`,
    docker: (id) => `docker-${id}.scope`,
  },
  cgroupfs: {
    containerd: (id) => id,
    crio: (id) => `crio-${id}`,
    'crio-crun': (id) => `crio-${id}/container`,
    docker: (id) => id,
  },
};

export const containerCgroupPath = (place: PodPlace, runtime: RuntimeName, id: string): string =>
  `${podCgroupPath(place)}/${CONTAINER_NAME[place.driver][runtime](id)}`;

/**
 * cpu.weight as kubelet and runc write it for a request: 1024 cpu.shares a CPU, at least 2, and shares 2 .. 262144
 * mapped to weights 1 .. 10000. Seen from a real kubelet: 200m gives 8.
 */
export const cpuWeightOf = (requestMilli: number): number => {
  const shares = Math.min(Math.max(Math.trunc((requestMilli * 1024) / 1000), 2), 262_144);
  return 1 + Math.trunc(((shares - 2) * 9999) / 262_142);
};

const PERIOD_US = 100_000;

/** cpu.max as kubelet writes it for a limit; undefined: no limit. */
export const cpuMaxOf = (limitMilli: number | undefined): string =>
  limitMilli === undefined ? `max ${PERIOD_US}` : `${(limitMilli * PERIOD_US) / 1000} ${PERIOD_US}`;
