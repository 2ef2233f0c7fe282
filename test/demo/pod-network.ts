/** One network namespace a pod, joined to the node by a veth pair and host routes, as a simple CNI plugin does. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';

/** The node's address as pods see it, and the first three parts of theirs. */
export const HOST_IP = '10.88.0.1';
const podIpOf = (index: number): string => `10.88.0.${index + 10}`;

/** Stands for cluster DNS and the Service of the signal endpoint, whose traffic policy is Local. */
const SIGNAL_NAMES = ['', '.svc', '.svc.cluster.local'].map((end) => `scx-slo-signal.scx-slo-system${end}`);

export interface PodNetwork {
  namespace: string;
  podIp: string;
  remove(): void;
}

const ip = (batch: string[], namespace?: string): void => {
  const inside = namespace === undefined ? [] : ['-n', namespace];
  execFileSync('ip', [...inside, '-batch', '-'], {
    input: `${batch.join('\n')}\n`,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
};

/** Gives the node its address in the pods' network. */
export const openNodeNetwork = (): (() => void) => {
  ip([`address replace ${HOST_IP}/32 dev lo`]);
  return () => ip([`address del ${HOST_IP}/32 dev lo`]);
};

export const addPodNetwork = (podName: string, index: number): PodNetwork => {
  const namespace = `scx-slo-${podName}`;
  const podIp = podIpOf(index);
  const hostEnd = `slo${index}`;
  ip([
    `netns add ${namespace}`,
    `link add ${hostEnd} type veth peer name eth0 netns ${namespace}`,
    `link set ${hostEnd} up`,
    `route add ${podIp}/32 dev ${hostEnd} src ${HOST_IP}`,
  ]);
  ip(
    [
      'link set lo up',
      `address add ${podIp}/32 dev eth0`,
      'link set eth0 up',
      `route add ${HOST_IP}/32 dev eth0 scope link`,
      `route add default via ${HOST_IP}`,
    ],
    namespace,
  );
  // `ip netns exec` binds these files over /etc.
  const etc = `/etc/netns/${namespace}`;
  mkdirSync(etc, { recursive: true });
  writeFileSync(
    `${etc}/hosts`,
    `127.0.0.1 localhost\n${podIp} ${podName}\n${HOST_IP} ${SIGNAL_NAMES.join(' ')}\n`,
  );
  return {
    namespace,
    podIp,
    remove: () => {
      ip([`netns del ${namespace}`]);
      rmSync(etc, { recursive: true, force: true });
    },
  };
};
