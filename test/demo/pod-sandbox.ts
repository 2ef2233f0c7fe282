/**
 * What kubelet and the container runtime do with an admitted pod: identity, cgroups, network, processes, and the
 * manifest with its status in the agent's --pods-dir. Containers share the node's file system; the
 * programs of the image are bundles beside this one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { containerCgroupPath, podCgroupPath } from '../fakes/kubelet-cgroups.ts';
import { cgroupDir, cgroupId, makeCgroup, removeCgroups } from './node-cgroups.ts';
import { type Container, environmentOf, type Pod, qosOf, requestedMilliCpus, weightOf } from './pod.ts';
import { addPodNetwork, HOST_IP, type PodNetwork } from './pod-network.ts';

export interface SandboxOptions {
  podsDir: string;
  logDir: string;
  /** Where the programs are that the image has in IMAGE_PROGRAMS. */
  programs: string;
  /** What runs in place of the image's `node`. */
  node: readonly string[];
  /** Added to every container's environment: what only the node knows. */
  env: Readonly<Record<string, string>>;
}

export interface RunningPod {
  readonly pod: Pod;
  readonly podIp: string;
  readonly cgroup: string;
  readonly cgroupId: number;
  stop(): Promise<void>;
}

const IMAGE_PROGRAMS = '/opt/scx-slo/demo/';

const commandOf = ({ command, args = [], image }: Container, options: SandboxOptions): readonly string[] => {
  const [program, file = '', ...rest] = command ?? [];
  if (program !== 'node' || !file.startsWith(IMAGE_PROGRAMS))
    throw new Error(`the demo starts programs of ${IMAGE_PROGRAMS} only, not ${image} ${command?.join(' ')}`);
  return [...options.node, join(options.programs, file.slice(IMAGE_PROGRAMS.length)), ...rest, ...args];
};

/** Joins the cgroup before it becomes the program, so that nothing is ever accounted elsewhere. */
const startIn = (
  cgroup: string,
  netns: string,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  log: string,
): ChildProcess => {
  const script = 'echo 0 > "$0/cgroup.procs" && exec ip netns exec "$@"';
  const child = spawn('sh', ['-c', script, cgroupDir(cgroup), netns, ...command], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const file = createWriteStream(log);
  child.stdout.pipe(file, { end: false });
  child.stderr.pipe(file, { end: false });
  return child;
};

interface StartedContainer {
  container: Container;
  id: string;
  cgroup: string;
  child: ChildProcess;
}

const withStatus = (pod: Pod, podIp: string, containers: readonly StartedContainer[]): Pod => ({
  ...pod,
  status: {
    phase: 'Running',
    qosClass: { guaranteed: 'Guaranteed', burstable: 'Burstable', besteffort: 'BestEffort' }[qosOf(pod)],
    hostIP: HOST_IP,
    podIP: podIp,
    podIPs: [{ ip: podIp }],
    containerStatuses: containers.map(({ container, id }) => ({
      name: container.name,
      containerID: `containerd://${id}`,
      image: container.image,
      ready: true,
      state: { running: {} },
    })),
  },
});

const publish = (pod: Pod, podsDir: string): string => {
  mkdirSync(podsDir, { recursive: true });
  const file = join(podsDir, `${pod.metadata.namespace}-${pod.metadata.name}.json`);
  const unfinished = join(podsDir, `.${pod.metadata.name}.tmp`);
  writeFileSync(unfinished, JSON.stringify(pod, null, 2));
  renameSync(unfinished, file);
  return file;
};

const started = async ({ container, child }: StartedContainer): Promise<void> => {
  await once(child, 'spawn');
  child.on('exit', (code, signal) => {
    if (signal !== 'SIGKILL' && signal !== 'SIGTERM') {
      process.stderr.write(`container ${container.name} ended by itself: ${signal ?? `exit ${code}`}\n`);
    }
  });
};

/** Starts every container of `pod`; `index` makes its address unique on the node. */
export const startPod = async (
  admitted: Pod,
  index: number,
  options: SandboxOptions,
): Promise<RunningPod> => {
  const uid = randomUUID();
  const pod: Pod = { ...admitted, metadata: { ...admitted.metadata, uid } };
  const place = { driver: 'systemd' as const, qos: qosOf(pod), uid };
  const cgroup = podCgroupPath(place);
  const weight = weightOf(requestedMilliCpus(pod));
  makeCgroup(dirname(cgroup));
  makeCgroup(cgroup, weight);
  const network: PodNetwork = addPodNetwork(pod.metadata.name, index);
  const containers = pod.spec.containers.map((container): StartedContainer => {
    const id = createHash('sha256').update(`${uid}/${container.name}`).digest('hex');
    const own = containerCgroupPath(place, 'containerd', id);
    makeCgroup(own, weight);
    const facts = { podIp: network.podIp, hostIp: HOST_IP };
    const env = { PATH: process.env.PATH, ...options.env, ...environmentOf(pod, container, facts) };
    const log = join(options.logDir, `${pod.metadata.name}-${container.name}.log`);
    const child = startIn(own, network.namespace, commandOf(container, options), env, log);
    return { container, id, cgroup: own, child };
  });
  await Promise.all(containers.map(started));
  const file = publish(withStatus(pod, network.podIp, containers), options.podsDir);
  return {
    pod,
    podIp: network.podIp,
    cgroup,
    cgroupId: cgroupId(cgroup),
    stop: async () => {
      rmSync(file, { force: true });
      await removeCgroups([...containers.map((c) => c.cgroup), cgroup]);
      network.remove();
    },
  };
};
