/**
 * The whole product on a whole cluster: our manifests and image on a real kubelet and containerd, in a virtual machine
 * whose kernel has sched_ext; kubectl, API server and webhook beside it.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Cluster, cluster } from '../cluster.ts';
import { BUSYBOX, type ClusterNode, startClusterNode } from '../cluster-node.ts';
import { daemonsBetween, type NodeSample } from '../daemons.ts';
import { eventually } from '../eventually.ts';
import { freePorts } from '../free-ports.ts';
import { createNamespace, getPod, recordIn, type Texts } from '../objects.ts';
import { PodAccount, SYSTEM_NAMESPACE } from '../pod-account.ts';
import { type RunningWebhook, startWebhook, writeSecret } from '../webhook-process.ts';

const OVERLAY = join(import.meta.dirname, '..', 'cluster-overlay');
const IMAGE = 'docker.io/library/scx-slo:0.1.0';
const IMAGE_ARCHIVE = 'build/image/scx-slo.tar';
const NAMESPACE = 'shop';
const METRICS_NODE_PORT = 30_090;
const SLOW_MS = 240_000;
/** One answer: under emulation and load some seconds. */
const METRICS_LIMIT_MS = 15_000;

/** Bursts of some milliseconds, as a service has them. */
const BURSTS = 'while :; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; usleep 3000; done';
const BUSY = 'while :; do :; done';
const workers = (count: number, script: string): string => `${`(${script}) & `.repeat(count)} wait`;

let shared: Cluster;
let node: ClusterNode | undefined;
let webhook: RunningWebhook | undefined;
let metricsPort = 0;

const api = () => shared.plane.api;

interface Workload {
  name: string;
  annotations?: Texts;
  /** Script by container. */
  scripts: Readonly<Record<string, string>>;
  cpu: { request: string; limit?: string };
}

const podOf = ({ name, annotations = {}, scripts, cpu }: Workload) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: NAMESPACE, annotations },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    containers: Object.entries(scripts).map(([container, script]) => ({
      name: container,
      image: BUSYBOX,
      imagePullPolicy: 'Never',
      command: ['sh', '-c', script],
      resources: {
        requests: { cpu: cpu.request },
        ...(cpu.limit === undefined ? {} : { limits: { cpu: cpu.limit } }),
      },
    })),
  },
});

const apply = async (...workloads: Workload[]) => {
  const { code, stderr } = await shared.kubectl(['apply', '-f', '-'], workloads.map(podOf));
  expect(code, stderr.join('\n')).toBe(0);
};

interface PodStatus {
  phase: string;
  containerStatuses?: { name: string; state: { terminated?: { message?: string } } }[];
}

const statusOf = async (name: string) => (await getPod(api(), NAMESPACE, name)).status as PodStatus;

const running = (name: string) =>
  eventually(`${name} runs`, async () => (await statusOf(name)).phase === 'Running', SLOW_MS);

/** What the container wrote into /dev/termination-log before it ended. */
const lastWords = (name: string, container: string) =>
  eventually(
    `${name} has ended`,
    async () =>
      (await statusOf(name)).containerStatuses?.find((status) => status.name === container)?.state.terminated
        ?.message,
    SLOW_MS,
  );

/** Starts a pod that looks, and tells how long that took. */
const schedulerSeenBy = async (name: string, state: 'enabled' | 'disabled') => {
  const began = watch();
  const look = 'cat /sys/kernel/sched_ext/state >/dev/termination-log';
  await apply({ name, scripts: { look }, cpu: { request: '10m' } });
  expect((await lastWords(name, 'look')).trim()).toBe(state);
  tell(`a pod from apply to its end, sched_ext ${state}`, began);
};

/**
 * QEMU takes the connection whether the guest does or not, so one that comes before kube-proxy has made the node port
 * would never be answered.
 */
const agentMetrics = async (): Promise<string> => {
  const signal = AbortSignal.timeout(METRICS_LIMIT_MS);
  const headers = { connection: 'close' };
  const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`, { signal, headers });
  return await response.text();
};

/** Sum over the series of the agent's /metrics whose line begins so; undefined: there is none. */
const metric = async (start: string): Promise<number | undefined> => {
  const text = await eventually('/metrics', agentMetrics, SLOW_MS);
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(start))
    .map((line) => Number(line.slice(line.lastIndexOf(' '))));
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
};
const ofPod = (name: string, pod: string) => metric(`${name}{namespace="${NAMESPACE}",pod="${pod}",`);

const serviceAddress = async (name: string) => {
  const { spec } = await api().get<{ spec: { clusterIP: string } }>(
    `/api/v1/namespaces/${SYSTEM_NAMESPACE}/services/${name}`,
  );
  return spec.clusterIP;
};

beforeAll(async () => {
  shared = await cluster();
  [metricsPort = 0] = await freePorts(1);
  node = await startClusterNode({
    plane: shared.plane,
    dir: join(shared.dir, 'node'),
    outDir: join(shared.logDir, 'node'),
    images: { [IMAGE]: IMAGE_ARCHIVE },
    forwards: [{ hostPort: metricsPort, guestPort: METRICS_NODE_PORT }],
    say: (line) => process.stdout.write(`${line}\n`),
  });
}, 900_000);

afterAll(async () => {
  await webhook?.stop();
  await node?.stop();
}, 120_000);

/** What the node's own programs wait for while something is done: a fact to read, not a promise to keep. */
interface Watched {
  sample: NodeSample | undefined;
  beganMs: number;
}
const watch = (): Watched => ({ sample: node?.sample(), beganMs: performance.now() });
const tell = (what: string, { sample: from, beganMs }: Watched) => {
  const to = node?.sample();
  const daemons = from && to && to.atMs > from.atMs ? daemonsBetween(from, to) : 'no sample';
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
  process.stdout.write(`${what}: ${seconds} s; ${daemons}\n`);
};

let test: Watched;
beforeEach(() => {
  test = watch();
});
afterEach(({ task }) => tell(task.name, test));

describe('a cluster with a node that has sched_ext', { timeout: 600_000 }, () => {
  it('gets the product by kubectl apply -k, and the node is on its scheduler', async () => {
    const { code, stderr } = await shared.kubectl(['apply', '-k', OVERLAY]);
    expect(code, stderr.join('\n')).toBe(0);
    const path = `/apis/apps/v1/namespaces/${SYSTEM_NAMESPACE}/daemonsets/scx-slo-agent`;
    await eventually(
      'the agent is ready',
      async () => ((await api().get(path)).status as { numberReady: number }).numberReady === 1,
      SLOW_MS,
    );
    await api().create(`/api/v1/namespaces/${SYSTEM_NAMESPACE}/services`, {
      metadata: { name: 'agent-metrics' },
      spec: {
        type: 'NodePort',
        selector: { 'app.kubernetes.io/name': 'scx-slo', 'app.kubernetes.io/component': 'agent' },
        ports: [{ port: 9090, nodePort: METRICS_NODE_PORT }],
      },
    });
    await eventually(
      'mode enforce',
      async () => (await metric('scx_slo_node_mode{mode="enforce"')) === 1,
      SLOW_MS,
    );
  });

  it('has a certificate that the Job made on the node, and the webhook serves with it', async () => {
    const secret = `/api/v1/namespaces/${SYSTEM_NAMESPACE}/secrets/scx-slo-webhook-tls`;
    const data = await eventually(
      'the Job has filled the Secret',
      async () => (await api().get<{ data?: Record<string, string> }>(secret)).data,
      SLOW_MS,
    );
    const secretDir = join(shared.dir, 'tls');
    writeSecret(
      secretDir,
      Object.fromEntries(
        Object.entries(data).map(([name, text]) => [name, Buffer.from(text, 'base64').toString()]),
      ),
    );
    const account = await PodAccount.create(shared.plane, 'scx-slo-webhook', join(shared.dir, 'webhook'));
    webhook = await startWebhook({ account, secretDir, logFile: join(shared.logDir, 'webhook.log') });
    await createNamespace(shared.plane, NAMESPACE);
  });

  it('takes an annotated pod through webhook, kubelet and agent into the kernel, beside batch pods', async () => {
    await apply(
      { name: 'batch-a', scripts: { burn: workers(2, BUSY) }, cpu: { request: '100m' } },
      { name: 'batch-b', scripts: { burn: workers(2, BUSY) }, cpu: { request: '100m', limit: '500m' } },
      {
        name: 'service',
        annotations: { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/importance': '80' },
        scripts: { app: BURSTS },
        cpu: { request: '200m', limit: '800m' },
      },
    );
    expect(recordIn(await getPod(api(), NAMESPACE, 'service'))).toMatchObject({
      'effective.scx-slo.io/budget-ms': '20',
    });
    await running('service');
    await eventually(
      'its bursts are counted',
      async () => ((await ofPod('scx_slo_bursts_total', 'service')) ?? 0) > 100,
      SLOW_MS,
    );
    expect(await ofPod('scx_slo_budget_seconds', 'service')).toBe(0.02);
    expect(await ofPod('scx_slo_importance', 'service')).toBe(80);
    expect(await ofPod('scx_slo_sched_delay_seconds_count', 'service')).toBeGreaterThan(100);
  });

  it('holds a pod to its CPU limit', async () => {
    await apply({
      name: 'limited',
      annotations: { 'scx-slo.io/budget-ms': '100', 'scx-slo.io/importance': '20' },
      scripts: { burn: workers(2, BUSY) },
      cpu: { request: '100m', limit: '200m' },
    });
    await running('limited');
    await eventually(
      'its quota ran out',
      async () => ((await metric('scx_slo_throttled_seconds_total{')) ?? 0) > 0,
      SLOW_MS,
    );
    const [before, beganMs] = [(await ofPod('scx_slo_cpu_seconds_total', 'limited')) ?? 0, performance.now()];
    await sleep(10_000);
    const cpus =
      (((await ofPod('scx_slo_cpu_seconds_total', 'limited')) ?? 0) - before) /
      ((performance.now() - beganMs) / 1000);
    process.stdout.write(`limited to 0.2 CPUs, used ${cpus.toFixed(3)}\n`);
    // No performance: two workers without a limit would use several times as much.
    expect(cpus).toBeLessThan(0.4);
    await shared.kubectl(['-n', NAMESPACE, 'delete', 'pod', 'limited', '--wait=false']);
  });

  it('answers 429 to a pod of little importance that asks the Service of the signal, when there is too much work', async () => {
    const signal = await serviceAddress('scx-slo-signal');
    const ask = `while :; do wget -S -q -O /dev/null -T 2 http://${signal}:7080/v1/shed 2>&1 | grep HTTP >/tmp/answer; cat /tmp/answer >>/tmp/answers; grep -q 429 /tmp/answer && break; usleep 100000; done; sort /tmp/answers | uniq -c >/dev/termination-log`;
    await apply(
      {
        name: 'important',
        annotations: { 'scx-slo.io/budget-ms': '5', 'scx-slo.io/importance': '90' },
        scripts: { app: workers(2, BURSTS) },
        cpu: { request: '200m' },
      },
      {
        name: 'optional',
        annotations: { 'scx-slo.io/budget-ms': '5', 'scx-slo.io/importance': '10' },
        scripts: { app: workers(3, BURSTS), ask },
        cpu: { request: '100m' },
      },
    );
    const answers = await lastWords('optional', 'ask');
    process.stdout.write(`answers to the pod: ${answers.trim().replaceAll('\n', '; ')}\n`);
    expect(answers).toContain('429');
    expect(await metric('scx_slo_deadline_misses_total{')).toBeGreaterThan(0);
  });

  it('cleans up after pods that kubectl deletes', async () => {
    const { code } = await shared.kubectl(['-n', NAMESPACE, 'delete', 'pod', '--all', '--wait=false']);
    expect(code).toBe(0);
    await eventually(
      'the pods are gone',
      async () => (await api().list(`/api/v1/namespaces/${NAMESPACE}/pods`)).length === 0,
      SLOW_MS,
    );
    await eventually(
      'their budgets are no longer in /metrics',
      async () => (await metric(`scx_slo_budget_seconds{namespace="${NAMESPACE}"`)) === undefined,
      SLOW_MS,
    );
  });

  it('is on its own scheduler again after kubectl delete -k', async () => {
    // Under load, so that the node's own programs have something to wait for, with us and without.
    await apply(
      { name: 'batch', scripts: { burn: workers(4, BUSY) }, cpu: { request: '200m' } },
      {
        name: 'service',
        annotations: { 'scx-slo.io/budget-ms': '5', 'scx-slo.io/importance': '90' },
        scripts: { app: workers(4, BURSTS) },
        cpu: { request: '200m' },
      },
    );
    await running('service');
    await running('batch');
    await schedulerSeenBy('before', 'enabled');
    const { code, stderr } = await shared.kubectl(['delete', '--wait=false', '-k', OVERLAY]);
    expect(code, stderr.join('\n')).toBe(0);
    await eventually(
      'the namespace is gone',
      async () => (await api().send('GET', `/api/v1/namespaces/${SYSTEM_NAMESPACE}`)).status === 404,
      SLOW_MS,
    );
    await schedulerSeenBy('after', 'disabled');
    expect(recordIn(await getPod(api(), NAMESPACE, 'after'))).toEqual({});
  });
});
