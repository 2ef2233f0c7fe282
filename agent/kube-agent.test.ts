/** The agent with an API server over real HTTPS, real directories as cgroups, and all but the kernel. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubeConnection } from '../kube/connection.ts';
import { apiPodOf, type PodSketch } from '../test/fakes/api-pods.ts';
import { FakeKernelSide } from '../test/fakes/kernel-side.ts';
import { FakeKubeApi } from '../test/fakes/kube-api.ts';
import { containerCgroupPath, podCgroupPath } from '../test/fakes/kubelet-cgroups.ts';
import { Agent, type AgentPorts } from './agent.ts';
import { isFailure } from './failure.ts';
import { parseOptions } from './options.ts';
import { ApiSource } from './pods/api-source.ts';
import { reportersOf } from './report/reporters.ts';

const UID = '0a1b2c3d-0000-4000-8000-000000000001';
const SLO = { 'scx-slo.io/budget-ms': '50', 'scx-slo.io/importance': '80' };
const FAST = { backoffMinMs: 20, backoffMaxMs: 100 };

let api: FakeKubeApi;
let connection: KubeConnection;
let kernel: FakeKernelSide;
let root = '';
let agent: Agent | undefined;
let ports: AgentPorts;
let logged: string[];
let features = '';

const cartPlace = { driver: 'systemd', qos: 'burstable', uid: UID } as const;

const apply = (more: Partial<PodSketch> = {}) =>
  api.store.apply('pods', apiPodOf({ name: 'cart', uid: UID, annotations: SLO, ...more }));

const createCgroup = (path: string): bigint => {
  mkdirSync(join(root, path), { recursive: true });
  const id = statSync(join(root, path), { bigint: true }).ino;
  kernel.tell({ change: 'created', id, path });
  return id;
};

const removeCgroup = (path: string, id: bigint): void => {
  rmSync(join(root, path), { recursive: true });
  kernel.tell({ change: 'removed', id, path });
};

const policyOf = (id: bigint) => {
  const slot = kernel.session.indexed.get(id);
  return slot === undefined ? undefined : kernel.session.policy(slot);
};

const eventually = <T>(check: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(check, { timeout: 15_000, interval: 10 });

const page = async (path: string): Promise<{ status: number; text: string }> => {
  const response = await fetch(`http://127.0.0.1:${ports.metrics}${path}`);
  return { status: response.status, text: await response.text() };
};

const start = async (): Promise<Agent> => {
  const any = '127.0.0.1:0';
  const command = parseOptions(
    [
      ...['--mode', 'enforce', '--node-name', 'node-1', '--state-dir', join(root, 'state')],
      ...['--metrics-address', any, '--local-address', any, '--signal-address', 'off'],
    ],
    {},
  );
  if (isFailure(command) || command.kind !== 'run') throw new Error('bad options');
  const log = pino({ level: 'info' }, { write: (line: string) => logged.push(JSON.parse(line).msg) });
  const source = new ApiSource({ connection, nodeName: 'node-1', onError: fail, timing: FAST });
  agent = new Agent(command.options, {
    kernel,
    log,
    sources: [{ name: 'kube', source }],
    reporters: reportersOf(
      { kube: { kubeconfig: undefined, nodeCondition: true }, nodeName: 'node-1', featureDir: features },
      connection,
      log,
    ),
    cgroupMount: root,
    cpus: () => 2,
  });
  const started = await agent.start();
  if (isFailure(started)) throw new Error(started.why);
  ports = started;
  return agent;
};

const fail = (error: unknown): void => {
  throw error;
};

beforeEach(async () => {
  api = await FakeKubeApi.start();
  connection = new KubeConnection(api.credentials());
  kernel = new FakeKernelSide();
  root = mkdtempSync(join(tmpdir(), 'kube-agent-'));
  logged = [];
  features = mkdtempSync(join(tmpdir(), 'features-'));
  mkdirSync(join(root, 'kubepods.slice/kubepods-burstable.slice'), { recursive: true });
});

afterEach(async () => {
  await agent?.stop();
  agent = undefined;
  connection.close();
  await api.close();
  for (const directory of [root, features]) rmSync(directory, { recursive: true, force: true });
});

interface EventBody {
  reason: string;
  note: string;
  regarding: { kind: string; name: string };
}

/** `<kind>/<name> <reason>` of each Event so far. */
const events = (): string[] =>
  api
    .seen('write')
    .filter(({ method, path }) => method === 'POST' && path.includes('/events'))
    .map(({ body }) => body as EventBody)
    .map(({ reason, regarding }) => `${regarding.kind}/${regarding.name} ${reason}`);

describe('an agent with an API server', () => {
  it('gives a pod its slot when its cgroup comes after the pod', async () => {
    apply();
    await start();
    const id = createCgroup(podCgroupPath(cartPlace));
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 }));
  });

  it('gives a pod its slot when the pod comes after its cgroup', async () => {
    await start();
    const id = createCgroup(podCgroupPath(cartPlace));
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 0 }));
    apply();
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 }));
  });

  it('follows edits of the pod and of its namespace', async () => {
    await start();
    const id = createCgroup(podCgroupPath(cartPlace));
    apply({ annotations: { 'scx-slo.io/budget-ms': '5' } });
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 5e6 }));
    api.store.apply('namespaces', {
      metadata: { name: 'shop', annotations: { 'caps.scx-slo.io/min-budget-ms': '20' } },
    });
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 20e6 }));
    apply({ annotations: {} });
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 0 }));
  });

  it('takes no pod of another node, whatever the server sends', async () => {
    api.store.apply('pods', apiPodOf({ name: 'away', uid: UID, nodeName: 'node-2', annotations: SLO }));
    await start();
    const id = createCgroup(podCgroupPath(cartPlace));
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 0 }));
    expect(api.seen('list').some(({ query }) => query.get('fieldSelector') === 'spec.nodeName=node-1')).toBe(
      true,
    );
  });

  it('keeps the slot of a cgroup whose pod the API deleted first, without the SLO, until the cgroup goes', async () => {
    apply();
    await start();
    const path = podCgroupPath(cartPlace);
    const id = createCgroup(path);
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 }));
    api.store.delete('pods', 'cart', 'shop');
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 0 }));
    removeCgroup(path, id);
    await eventually(() => expect(policyOf(id)).toBeUndefined());
  });

  it('frees the slot of a cgroup that went before its pod, and says nothing of it', async () => {
    apply();
    await start();
    const path = podCgroupPath(cartPlace);
    const id = createCgroup(path);
    await eventually(() => expect(policyOf(id)).toBeDefined());
    removeCgroup(path, id);
    await eventually(() => expect(policyOf(id)).toBeUndefined());
    api.store.delete('pods', 'cart', 'shop');
    await eventually(async () =>
      expect((await page('/metrics')).text).toContain('scx_slo_unresolved_pods 0'),
    );
  });

  it('knows the containers of a pod, with those below them of crun', async () => {
    const id = 'ab'.repeat(32);
    apply({
      annotations: { ...SLO, 'budget-ms.scx-slo.io/main': '10' },
      containers: { main: id },
    });
    await start();
    createCgroup(podCgroupPath(cartPlace));
    const inner = containerCgroupPath(cartPlace, 'crio-crun', id);
    const container = createCgroup(inner.slice(0, inner.lastIndexOf('/')));
    createCgroup(inner);
    await eventually(() => expect(policyOf(container)).toMatchObject({ budgetNs: 10e6 }));
  });

  it('has all slots again after a restart, from the API and the cgroups', async () => {
    apply();
    const path = podCgroupPath(cartPlace);
    const before = await start();
    const id = createCgroup(path);
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 }));
    await before.stop();
    await start();
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 }));
    expect(kernel.sessions).toHaveLength(2);
  });

  it('goes on with what it knows when the server is gone, says so once, and is ready again when it is back', async () => {
    apply();
    await start();
    const id = createCgroup(podCgroupPath(cartPlace));
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 }));
    expect(await page('/readyz')).toMatchObject({ status: 200 });
    await api.kill();
    const told = (): string[] => logged.filter((text) => text.includes('/api/v1/pods'));
    await eventually(() => expect(told()).toHaveLength(1));
    expect(told()[0]).toContain('SLO_E_KUBE_API');
    expect((await page('/metrics')).text).toMatch(/scx_slo_reflector_stale_seconds\{resource="pods"\} [1-9]/);
    expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 });
    apply({ annotations: { 'scx-slo.io/budget-ms': '5' } });
    await api.listen();
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 5e6 }));
    await eventually(async () =>
      expect((await page('/metrics')).text).toContain('scx_slo_reflector_stale_seconds{resource="pods"} 0\n'),
    );
  });

  it('starts without a server, is not ready, and takes the pods when there is one', async () => {
    apply();
    await api.kill();
    await start();
    const id = createCgroup(podCgroupPath(cartPlace));
    expect(await page('/readyz')).toMatchObject({
      status: 503,
      text: expect.stringContaining('never listed'),
    });
    await api.listen();
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 }));
    expect(await page('/readyz')).toMatchObject({ status: 200 });
  });

  it('works with the built-in caps when it may not read namespaces', async () => {
    api.fault = ({ path }) => (path === '/api/v1/namespaces' ? { status: 403 } : undefined);
    apply({ annotations: { ...SLO, 'scx-slo.io/importance': '99' } });
    await start();
    const id = createCgroup(podCgroupPath(cartPlace));
    await eventually(() => expect(policyOf(id)).toMatchObject({ budgetNs: 50e6 }));
    const told = (): string[] => logged.filter((text) => text.includes('/api/v1/namespaces'));
    await eventually(() => expect(told()).toHaveLength(1));
  });
});

describe('what an agent with an API server tells', () => {
  it('are Events about pods and the Node, each once', async () => {
    await start();
    await eventually(() => expect(events()).toEqual(['Node/node-1 SchedExtEnabled']));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    apply({ annotations: { ...SLO, 'scx-slo.io/importance': '95', 'scx-slo.io/mode': 'fast' } });
    createCgroup(podCgroupPath(cartPlace));
    await eventually(() =>
      expect(new Set(events().slice(1))).toEqual(
        new Set(['Pod/cart SLOApplied', 'Pod/cart SLOClamped', 'Pod/cart SLOInvalid']),
      ),
    );
    kernel.session.exitInfo = { ...kernel.session.exitInfo, kind: 1024, reason: 'runtime error' };
    await eventually(() => expect(events().at(-1)).toBe('Node/node-1 SchedExtEjected'));
    expect(logged.some((text) => text.includes('Events can be sent'))).toBe(false);
  });

  it('are the condition of the Node and its labels', async () => {
    const before = await start();
    const conditions = (): string[] =>
      api
        .seen('write')
        .filter(({ path }) => path === '/api/v1/nodes/node-1/status')
        .flatMap(
          ({ body }) => (body as { status?: { conditions: { reason: string }[] } }).status?.conditions ?? [],
        )
        .map(({ reason }) => reason);
    await eventually(() => expect(conditions()).toEqual(['Enforcing']));
    expect(readFileSync(join(features, 'scx-slo'), 'utf8')).toContain('scx-slo.io/mode=enforce\n');
    await before.stop();
    expect(conditions()).toEqual(['Enforcing', 'AgentStopped']);
  });
});
