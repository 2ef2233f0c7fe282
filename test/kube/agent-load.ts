/**
 * What an agent costs on a full node, and how soon a pod has its slot: the agent as it is shipped, with its observer loaded into
 * this machine's kernel, real cgroups, and an API server over HTTPS in this process. Root only. Prints what it
 * measured, judges nothing.
 *
 *     node test/kube/agent-load.ts [--pods 250] [--containers 4] [--changes 50] [--seconds 30] [--log FILE]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { summarise } from '../bench/percentiles.ts';
import { FakeKubeApi } from '../fakes/kube-api.ts';
import { KernelPolicies } from './load/kernel-policies.ts';
import { LoadNode, type LoadPod, NODE_NAME } from './load/node.ts';
import { cpuSeconds, rssMb } from './load/process-usage.ts';

const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '250' },
    containers: { type: 'string', default: '4' },
    changes: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '30' },
    /** Of the agent, where it goes to. */
    log: { type: 'string', default: '/dev/null' },
    help: { type: 'boolean', default: false },
  },
});
const PODS = Number(values.pods);
const CONTAINERS = Number(values.containers);
const CHANGES_PER_S = Number(values.changes);
const PHASE_MS = Number(values.seconds) * 1000;
/** Of one pod's life: bound, running, terminating, deleted, and one probe in between. */
const CHANGES_PER_POD = 5;

const SETTLE_MS = 5_000;
const POLL_MS = 1;
const LIMIT_MS = 10_000;

/** With the service account's files where a pod has them, in a mount namespace of its own. */
const IN_POD = `
set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cp "$1/token" "$1/ca.crt" /run/secrets/kubernetes.io/serviceaccount/
shift
exec "$@"
`;

const startAgent = (api: FakeKubeApi): ChildProcess => {
  const command = new URL('../../bin/scx-slo', import.meta.url).pathname;
  const { hostname, port } = new URL(api.server);
  const agent = [command, 'run', '--mode', 'observe'];
  const servers = ['--metrics-address', '127.0.0.1:0', '--local-address', 'off', '--signal-address', 'off'];
  const flags = [...servers, '--state-dir', 'off', '--node-name', NODE_NAME];
  const log = openSync(values.log, 'w');
  const child = spawn('unshare', ['--mount', 'sh', '-c', IN_POD, 'sh', api.directory, ...agent, ...flags], {
    stdio: ['ignore', log, 'inherit'],
    env: { ...process.env, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  });
  closeSync(log);
  return child;
};

/** How long after both sides were there each pod's slot was. */
class SlotClock {
  readonly latenciesMs: number[] = [];
  readonly #policies: KernelPolicies;
  readonly #waiting = new Map<LoadPod, number>();
  readonly #timer = setInterval(() => this.#look(), POLL_MS);
  late = 0;

  constructor(policies: KernelPolicies) {
    this.#policies = policies;
  }

  /** From now on the pod has both sides. */
  start(pod: LoadPod): void {
    this.#waiting.set(pod, performance.now());
  }

  async settled(): Promise<void> {
    while (this.#waiting.size > 0) await sleep(POLL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const [pod, sinceMs] of this.#waiting) {
      const tookMs = performance.now() - sinceMs;
      const isThere = this.#policies.budgetMs(pod.cgroupId ?? 0n) === pod.budgetMs;
      if (isThere) this.latenciesMs.push(tookMs);
      else if (tookMs > LIMIT_MS) this.late += 1;
      else continue;
      this.#waiting.delete(pod);
    }
  }
}

const report = (name: string, figures: Readonly<Record<string, number | string>>): void => {
  const texts = Object.entries(figures).map(([figure, value]) => {
    const text = typeof value === 'number' ? String(Math.round(value * 100) / 100) : value;
    return `${figure} ${text}`;
  });
  process.stdout.write(`${name.padEnd(34)} ${texts.join('   ')}\n`);
};

/** CPU and memory of the agent while `during` runs. */
const measured = async (name: string, pid: number, during: () => Promise<void>): Promise<void> => {
  await sleep(SETTLE_MS);
  const before = { cpuS: cpuSeconds(pid), atMs: performance.now() };
  await during();
  const seconds = (performance.now() - before.atMs) / 1000;
  report(name, {
    seconds,
    'cpu%': ((cpuSeconds(pid) - before.cpuS) / seconds) * 100,
    'rss MB': rssMb(pid),
  });
};

/** Calls `step` at an even rate, whatever the timers do. */
const paced = async (perSecond: number, step: (count: number) => void): Promise<void> => {
  const startMs = performance.now();
  for (let done = 0; performance.now() - startMs < PHASE_MS; ) {
    const due = ((performance.now() - startMs) / 1000) * perSecond;
    for (; done < due; done += 1) step(done);
    await sleep(5);
  }
};

/** One pod ends and another one begins; `count` decides which side of the new one comes first. */
const replacePod = async (node: LoadNode, clock: SlotClock, count: number): Promise<void> => {
  const [old] = node.pods;
  if (old === undefined) return;
  node.pods.delete(old);
  old.apply('terminating');
  const pod = node.newPod();
  if (count % 2 === 0) {
    pod.apply('bound');
    await sleep(20);
    pod.createCgroups();
  } else {
    pod.createCgroups();
    await sleep(20);
    pod.apply('bound');
  }
  clock.start(pod);
  old.removeCgroups();
  await sleep(20);
  pod.apply('running');
  old.deleteObject();
  await sleep(20);
  pod.apply('running');
};

const run = async (node: LoadNode, agent: ChildProcess): Promise<void> => {
  const pid = agent.pid ?? 0;
  const clock = new SlotClock(await KernelPolicies.of(pid));
  const startMs = performance.now();
  for (const pod of node.pods) clock.start(pod);
  await clock.settled();
  report('all slots after the start', { ms: performance.now() - startMs, late: clock.late });
  clock.latenciesMs.length = 0;
  await measured('quiet', pid, () => sleep(PHASE_MS));
  const pods = [...node.pods];
  await measured(`${CHANGES_PER_S} status changes/s`, pid, () =>
    paced(CHANGES_PER_S, (count) => pods[count % pods.length]?.apply('running')),
  );
  const replacements: Promise<void>[] = [];
  const perSecond = CHANGES_PER_S / CHANGES_PER_POD;
  await measured(`${perSecond} pods replaced/s (${CHANGES_PER_S} changes/s)`, pid, async () => {
    await paced(perSecond, (count) => replacements.push(replacePod(node, clock, count)));
    await Promise.all(replacements);
    await clock.settled();
  });
  const { requests, p50Ms, p99Ms, maxMs } = summarise(clock.latenciesMs);
  report('slot after both sides', { pods: requests, late: clock.late, p50Ms, p99Ms, maxMs });
  await measured('quiet again', pid, () => sleep(PHASE_MS));
  clock.stop();
};

const main = async (): Promise<void> => {
  report('node', { pods: PODS, containers: PODS * CONTAINERS, cpus: cpus().length, node: process.version });
  const api = await FakeKubeApi.start();
  const node = new LoadNode(api, CONTAINERS);
  for (let i = 0; i < PODS; i += 1) {
    const pod = node.newPod();
    pod.createCgroups();
    pod.apply('running');
  }
  const agent = startAgent(api);
  try {
    await run(node, agent);
  } finally {
    agent.kill();
    await once(agent, 'exit');
    node.remove();
    await api.close();
  }
};

if (values.help)
  process.stdout.write(
    'node test/kube/agent-load.ts [--pods N] [--containers N] [--changes N] [--seconds N]\n',
  );
else await main();
