/**
 * A container of a pod -> what kubelet and the container runtime make of it (an OCI runtime configuration). Pure. The
 * pod's network is the node's here; all other isolation is as on a node.
 */
import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import { ociSeccomp, type SeccompProfile } from './seccomp.ts';

export interface NodeFacts {
  /** Downward API: field path -> value. */
  fields: Readonly<Record<string, string>>;
  /** ConfigMap -> its data. */
  configMaps: Readonly<Record<string, Record<string, string>>>;
  /** Volume -> directory on the node; a volume that is missing is a host path. */
  volumes: Readonly<Record<string, string>>;
  seccomp: SeccompProfile;
  rootfs: string;
  /** Of the pod, below which the container gets its own. */
  cgroup: string;
}

const IMAGE_ENV = ['PATH=/usr/local/bin', 'NODE_ENV=production', 'TZ=UTC'];

const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
];
const MASKED_MORE = ['/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const mount = (destination: string, type: string, options: string[]) => ({
  destination,
  type,
  source: type,
  options: ['nosuid', 'noexec', 'nodev', ...options],
});

const SYSTEM_MOUNTS = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
  mount('/dev/shm', 'tmpfs', ['mode=1777', 'size=65536k']),
  mount('/dev/mqueue', 'mqueue', []),
  mount('/sys', 'sysfs', ['ro']),
  mount('/sys/fs/cgroup', 'cgroup', ['ro']),
];

const MIB = 1024 * 1024;

const memoryBytes = (quantity: string | undefined): number | undefined => {
  const mib = /^([0-9]+)Mi$/.exec(quantity ?? '')?.[1];
  return mib === undefined ? undefined : Number(mib) * MIB;
};

const environmentOf = (container: V1Container, facts: NodeFacts): Record<string, string> => {
  const env: Record<string, string> = {};
  for (const { configMapRef } of container.envFrom ?? []) {
    Object.assign(env, facts.configMaps[configMapRef?.name ?? '']);
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    env[name] = value ?? facts.fields[valueFrom?.fieldRef?.fieldPath ?? ''] ?? '';
  }
  return env;
};

/** `$(NAME)` as kubelet puts it in. */
const expanded = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replace(/\$\(([A-Za-z_][A-Za-z0-9_]*)\)/g, (whole, name: string) => env[name] ?? whole);

const volumeMounts = (container: V1Container, pod: V1PodSpec, facts: NodeFacts) =>
  (container.volumeMounts ?? []).map(({ name, mountPath, readOnly }) => {
    const volume = pod.volumes?.find((candidate) => candidate.name === name);
    const source = facts.volumes[name] ?? volume?.hostPath?.path;
    if (source === undefined) throw new Error(`no directory for the volume ${name}`);
    return {
      destination: mountPath,
      type: 'bind',
      source,
      options: ['rbind', 'rprivate', readOnly ? 'ro' : 'rw'],
    };
  });

export const ociConfig = (container: V1Container, pod: V1PodSpec, facts: NodeFacts): object => {
  const security = container.securityContext ?? {};
  const uid = security.runAsUser ?? 65_532;
  const gid = security.runAsGroup ?? uid;
  const added = (security.capabilities?.add ?? []).map((name) => `CAP_${name}`);
  const env = environmentOf(container, facts);
  const group = pod.securityContext?.fsGroup;
  const limit = memoryBytes(container.resources?.limits?.memory);
  return {
    ociVersion: '1.0.2',
    process: {
      args: [...(container.command ?? []), ...(container.args ?? [])].map((word) => expanded(word, env)),
      cwd: '/',
      env: [...IMAGE_ENV, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
      user: { uid, gid, ...(group === undefined ? {} : { additionalGids: [group] }) },
      noNewPrivileges: security.allowPrivilegeEscalation === false,
      // Whoever is not root has the bounding set alone.
      capabilities: {
        bounding: added,
        permitted: uid === 0 ? added : [],
        effective: uid === 0 ? added : [],
        inheritable: [],
        ambient: [],
      },
    },
    root: { path: facts.rootfs, readonly: security.readOnlyRootFilesystem === true },
    hostname: facts.fields['spec.nodeName'],
    mounts: [...SYSTEM_MOUNTS, ...volumeMounts(container, pod, facts)],
    linux: {
      cgroupsPath: `${facts.cgroup}/${container.name}`,
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
      maskedPaths: [...MASKED, ...MASKED_MORE],
      readonlyPaths: READ_ONLY,
      resources: limit === undefined ? {} : { memory: { limit, swap: limit } },
      seccomp: ociSeccomp(facts.seccomp, added),
    },
  };
};
