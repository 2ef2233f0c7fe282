/** A real node: kubelet, containerd and kube-proxy in a virtual machine with sched_ext, joined to a control plane here. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { runInVm, type VmResult } from '../vm/boot.ts';
import { defaultKernelName, kernels } from '../vm/kernels.ts';
import type { ControlPlane } from './control-plane.ts';
import { HOST_IN_GUEST, kubeconfig, NODE_NAME } from './credentials.ts';
import { type NodeSample, readDaemons } from './daemons.ts';
import { eventually } from './eventually.ts';

/** Image that every node has. */
export const BUSYBOX = 'docker.io/library/busybox:test';
const POD_CIDR = '10.244.7.0/24';
const MEMORY_MB = 4096;
const VM_LIMIT_SECONDS = 1_500;
const READY_LIMIT_MS = 600_000;

export interface ClusterNodeOptions {
  plane: ControlPlane;
  /** For what the guest is given. */
  dir: string;
  /** Where the logs of its programs land when it has ended. */
  outDir: string;
  /** Docker or OCI archives by the whole name of their image; the node has them, and nothing else can be pulled. */
  images: Readonly<Record<string, string>>;
  /** Node ports that the host reaches, on a loopback port each. */
  forwards: readonly { hostPort: number; guestPort: number }[];
  say: (line: string) => void;
}

export interface ClusterNode {
  name: string;
  /** What its own programs did so far, a few seconds ago; undefined before the first sample. */
  sample(): NodeSample | undefined;
  /** Resolves when the machine has ended and its logs are there. */
  stop(): Promise<VmResult>;
}

export async function startClusterNode(options: ClusterNodeOptions): Promise<ClusterNode> {
  const { plane, dir, say } = options;
  const { kubelet, kubeProxy } = plane.programs;
  if (kubelet === undefined || kubeProxy === undefined) throw new Error('there is no kubelet or kube-proxy');
  const kernel = kernels.find(({ name }) => name === defaultKernelName);
  if (kernel === undefined) throw new Error(`no kernel ${defaultKernelName}`);
  await publishApiServer(plane);
  const control = await openControl();
  const programs = execFileSync(join(import.meta.dirname, 'node', 'programs.sh'), {
    encoding: 'utf8',
  }).trim();
  const images = Object.entries({ [BUSYBOX]: join(programs, 'busybox.tar'), ...options.images });
  let result: VmResult | undefined;
  let latest: NodeSample | undefined;
  const ended = runInVm({
    kernel,
    command: ['/work/test/kube/node/start.sh'],
    cpus: 2,
    memoryMb: MEMORY_MB,
    clock: 'wall',
    timeoutSeconds: VM_LIMIT_SECONDS,
    onLine: (line) => {
      const sample = readDaemons(line);
      if (sample === undefined) say(`node: ${line}`);
      else latest = sample;
    },
    outDir: options.outDir,
    network: { forwards: options.forwards },
    files: {
      programs: join(programs, 'tree'),
      'programs/usr/local/bin/kubelet': kubelet,
      'programs/usr/local/bin/kube-proxy': kubeProxy,
      ...Object.fromEntries(images.map(([, archive], index) => [`images/${index}.tar`, archive])),
      ...writeGuestFiles(
        plane,
        dir,
        control.port,
        images.map(([name]) => name),
      ),
    },
  }).then((value) => {
    result = value;
    return value;
  });
  const stop = async (): Promise<VmResult> => {
    control.close();
    return await ended;
  };
  try {
    await eventually('the node is ready', () => isReady(plane, () => result), READY_LIMIT_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  // Who takes that off looks at heartbeats, and does not run here.
  await plane.api.patch(`/api/v1/nodes/${NODE_NAME}`, { spec: { taints: null } });
  return { name: NODE_NAME, sample: () => latest, stop };
}

async function isReady(plane: ControlPlane, result: () => VmResult | undefined): Promise<boolean> {
  if (result() !== undefined)
    throw new Error(`the machine ended: ${result()?.failure ?? result()?.exitCode}`);
  const { status } = await plane.api
    .send<{ status: { conditions?: { type: string; status: string }[] } }>(
      'GET',
      `/api/v1/nodes/${NODE_NAME}`,
    )
    .then(({ body }) => body);
  return (
    status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
  );
}

/** Pods know the API server by the address of a Service; its endpoint is what the guest reaches the host by. */
async function publishApiServer({ api, url }: ControlPlane): Promise<void> {
  const port = Number(new URL(url).port);
  await api.create('/api/v1/namespaces/default/endpoints', {
    metadata: { name: 'kubernetes' },
    subsets: [{ addresses: [{ ip: HOST_IN_GUEST }], ports: [{ name: 'https', port }] }],
  });
}

function writeGuestFiles(
  plane: ControlPlane,
  dir: string,
  controlPort: number,
  imageNames: readonly string[],
): Record<string, string> {
  mkdirSync(join(dir, 'images'), { recursive: true });
  const { ca, tokens } = plane.credentials;
  const url = `https://${HOST_IN_GUEST}:${new URL(plane.url).port}`;
  const texts = {
    'node.env': `NODE_NAME=${NODE_NAME}\nPOD_CIDR=${POD_CIDR}\nCONTROL_PORT=${controlPort}\n`,
    'ca.crt': ca.cert,
    'node.kubeconfig': kubeconfig(url, ca.cert, tokens.node),
    'proxy.kubeconfig': kubeconfig(url, ca.cert, tokens.proxy),
    ...Object.fromEntries(imageNames.map((name, index) => [`images/${index}.name`, name])),
  };
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => {
      writeFileSync(join(dir, name), text);
      return [name, join(dir, name)];
    }),
  );
}

/** The guest runs as long as its connection to this. */
async function openControl(): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>();
  let isOver = false;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => sockets.delete(socket));
    if (isOver) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      isOver = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}
