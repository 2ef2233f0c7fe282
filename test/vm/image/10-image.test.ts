// The image as the DaemonSet runs it: its own file system, namespaces, users, capabilities, seccomp profile and memory
// limit, taken from the rendered manifests. Does it enforce, and is there anything that it could do without?
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import type { V1ConfigMap, V1Container, V1DaemonSet, V1PodSpec } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { podsView } from '../../../agent/observe/pods-view.ts';
import { eventually, schedExt } from '../suites/agent-process.ts';
import { fact } from '../suites/facts.ts';
import { GuestNode } from '../suites/guest-pods.ts';
import { CrunContainer } from './crun.ts';
import { type NodeFacts, ociConfig } from './oci.ts';

const HERE = '/work/build/vm/image';
const ROOTFS = '/run/image';
const CGROUP = '/kubepods/burstable/pod11111111-2222-3333-4444-555555555555';
const START_LIMIT_MS = 90_000;
/** As bits: include/uapi/linux/capability.h. */
const BITS: Readonly<Record<string, bigint>> = { PERFMON: 38n, BPF: 39n };

type PodsView = ReturnType<typeof podsView>;

const node = new GuestNode();
let running: CrunContainer[] = [];
let pod: V1PodSpec;
let facts: NodeFacts;

beforeAll(() => {
  mkdirSync(ROOTFS, { recursive: true });
  execFileSync('tar', ['-C', ROOTFS, '-xf', `${HERE}/rootfs.tar`]);
  const objects: unknown[] = parseAllDocuments(readFileSync(`${HERE}/manifests.yaml`, 'utf8')).map((d) =>
    d.toJS(),
  );
  const ofKind = <T>(kind: string): T[] =>
    objects.filter((o) => (o as { kind: string }).kind === kind) as T[];
  const spec = ofKind<V1DaemonSet>('DaemonSet')[0]?.spec?.template.spec;
  if (spec === undefined || spec === null) throw new Error('no DaemonSet in the manifests');
  pod = spec;
  const volumes = { signal: '/run/volumes/signal', token: '/run/volumes/token', pods: node.podsDir };
  for (const directory of Object.values(volumes)) mkdirSync(directory, { recursive: true });
  mkdirSync('/var/lib/scx-slo', { recursive: true });
  mkdirSync('/boot', { recursive: true });
  // What kubelet does for fsGroup.
  chownSync(volumes.signal, 0, pod.securityContext?.fsGroup ?? 0);
  chmodSync(volumes.signal, 0o2777);
  facts = {
    fields: { 'spec.nodeName': 'scx-vm', 'metadata.namespace': 'scx-slo-system' },
    configMaps: Object.fromEntries(
      ofKind<V1ConfigMap>('ConfigMap').map(({ metadata, data }) => [metadata?.name, data ?? {}]),
    ),
    volumes,
    seccomp: JSON.parse(readFileSync(`${HERE}/seccomp.json`, 'utf8')),
    rootfs: ROOTFS,
    cgroup: CGROUP,
  };
});

afterEach(async () => {
  for (const container of running) await container.stop('SIGKILL');
  running = [];
  await node.clear();
});
afterAll(() => node.close());

const containerNamed = (name: string): V1Container => {
  const found = pod.containers.find((container) => container.name === name);
  if (found === undefined) throw new Error(`no container ${name} in the manifests`);
  return found;
};

/** Here pods come from a directory, not from an API server; the mode is a flag. Everything else is the manifest's. */
const agentHere = (container: V1Container): V1Container => ({
  ...container,
  args: [
    ...(container.args ?? []).filter((arg) => !arg.startsWith('--kube')),
    '--pods-dir=/host/pods',
    '--mode=enforce',
  ],
  volumeMounts: [
    ...(container.volumeMounts ?? []),
    { name: 'pods', mountPath: '/host/pods', readOnly: true },
  ],
});

const start = (container: V1Container): CrunContainer => {
  const started = CrunContainer.start(container.name, ociConfig(container, pod, facts));
  running.push(started);
  return started;
};

const ready = (container: CrunContainer, port: number): Promise<string> =>
  eventually(
    `/readyz of port ${port}:\n${container.log()}`,
    async () => {
      if (container.hasEnded) throw new Error(`it ended:\n${container.log()}`);
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      return answer?.ok ? await answer.text() : undefined;
    },
    START_LIMIT_MS,
  );

const mask = (capabilities: readonly string[]): string =>
  capabilities
    .reduce((bits, name) => bits | (1n << (BITS[name] ?? 0n)), 0n)
    .toString(16)
    .padStart(16, '0');

const view = async (): Promise<PodsView> =>
  (await (await fetch('http://127.0.0.1:7090/v1/pods')).json()) as PodsView;

describe('the image, as the DaemonSet runs it', () => {
  test('enforces with the declared capabilities alone, and a pod gets its slot', async () => {
    const agent = start(agentHere(containerNamed('agent')));
    expect(await ready(agent, 9090), agent.log()).toBe('ready, mode enforce\n');
    expect([schedExt('state'), schedExt('root/ops')]).toEqual(['enabled', 'scx_slo']);

    const declared = containerNamed('agent').securityContext?.capabilities?.add ?? [];
    expect({
      effective: agent.status('CapEff'),
      bounding: agent.status('CapBnd'),
      noNewPrivileges: agent.status('NoNewPrivs'),
      seccomp: agent.status('Seccomp'),
    }).toEqual({ effective: mask(declared), bounding: mask(declared), noNewPrivileges: '1', seccomp: '2' });
    const root = readFileSync(`/proc/${agent.pid()}/mountinfo`, 'utf8').split('\n')[0];
    expect(root).toMatch(/ \/ ro,/);

    // Its own process id is 1 in there; the scheduler must know the one that the kernel uses.
    expect(agent.status('NSpid').split('\t').at(-1)).toBe('1');
    expect(schedulerConstant('agent_tgid')).toBe(agent.pid());

    const crowd = node.add('crowd', { 'scx-slo.io/budget-ms': '1', 'scx-slo.io/importance': '80' });
    node.spin(crowd, 4);
    const slot = await eventually('the pod has a slot and misses', async () =>
      (await view()).pods.find((one) => one.pod === 'crowd' && Object.values(one.misses).some((n) => n > 0)),
    );
    expect(slot).toMatchObject({ budgetMs: 1, importance: 80, cgroupId: crowd.cgroupId });
    fact('imageAgentMemoryMb', memoryMb('agent'));

    expect(await agent.stop()).toBe(0);
    expect(schedExt('state')).toBe('disabled');
  });

  test('the signal has no capability, no way to be root, and answers pods from the agent’s socket', async () => {
    const agent = start(agentHere(containerNamed('agent')));
    const signal = start(containerNamed('signal'));
    await ready(agent, 9090);
    await ready(signal, 7081);
    expect({
      user: signal.status('Uid').split('\t')[0],
      effective: signal.status('CapEff'),
      bounding: signal.status('CapBnd'),
      noNewPrivileges: signal.status('NoNewPrivs'),
      seccomp: signal.status('Seccomp'),
    }).toEqual({
      user: '65532',
      effective: mask([]),
      bounding: mask([]),
      noNewPrivileges: '1',
      seccomp: '2',
    });
    expect((await fetch('http://127.0.0.1:7080/v1/shed')).status).toBe(200);
    fact('imageSignalMemoryMb', memoryMb('signal'));
    expect(await signal.stop()).toBe(0);
    expect(await agent.stop()).toBe(0);
  });

  test('lacks each of its capabilities in turn: it does not enforce, and names the one', async () => {
    const container = agentHere(containerNamed('agent'));
    const declared = container.securityContext?.capabilities?.add ?? [];
    expect(declared.length).toBeGreaterThan(0);
    for (const missing of declared) {
      const capabilities = { drop: ['ALL'], add: declared.filter((name) => name !== missing) };
      const agent = start({ ...container, securityContext: { ...container.securityContext, capabilities } });
      expect(await ready(agent, 9090)).toMatch(new RegExp(`NoCapability: .*CAP_${missing}`));
      expect(schedExt('state')).toBe('disabled');
      expect(await agent.stop()).toBe(0);
    }
  });
});

/** A constant of the loaded scheduler, as bpftool reads it with the object's type information. */
const schedulerConstant = (name: string): number | undefined => {
  const text = execFileSync('bpftool', ['--json', '--pretty', 'map', 'dump', 'name', 'schedule.rodata'], {
    encoding: 'utf8',
  });
  const found = new RegExp(`"${name}": (\\d+)`).exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
};

/** All that the container is charged with, BPF maps included. */
const memoryMb = (name: string): number =>
  Math.round(Number(readFileSync(`/sys/fs/cgroup${CGROUP}/${name}/memory.current`, 'utf8')) / 1e6);
