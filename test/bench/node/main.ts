/**
 * One boot of a scenario on the node itself: `node.mjs PROJECT-DIR OUT-DIR`, with the job in PROJECT-DIR/.bench-job.json
 * or JOB. Runs as root on a kernel with sched_ext. Leaves OUT-DIR/measured.json and logs.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { argv, execPath } from 'node:process';
import { hostSysfs } from '../../../agent/kernel/sysfs.ts';
import { readTopology } from '../../../agent/kernel/topology.ts';
import { cgroupId, closeNodeCgroups, openNodeCgroups } from '../../demo/node-cgroups.ts';
import { stopHugePages } from '../../demo/quiet-kernel.ts';
import type { Job, MeasuredRun, MeasuredWindow } from '../measured.ts';
import { ALONE_AGAIN, type Case, podsOf, type Scenario } from '../scenario.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import type { LoadOptions } from './load.ts';
import { observe } from './observer.ts';
import { killPods, makePods, type NodePod, removePods, slosOf } from './pods.ts';
import { type RunningPolicy, schedulerName, startPolicy, weightsOf } from './policy.ts';
import { measureWindow } from './window.ts';

const [, , project = '', out = ''] = argv;
const program = join(project, 'build/vm/bench/bench-load');
const dist = join(project, 'build/dist');
const logDir = join(out, 'logs');
const podsDir = '/run/scx-slo-bench/pods';
const cpus = availableParallelism();
const startedMs = performance.now();

/** Between the scheduler's start or the last window and the first request. */
const SETTLE_MS = 1000;
/** After the window, for requests that started in it. */
const GRACE_MS = 300;

const say = (text: string): void => {
  process.stdout.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);
};

const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Disks are slow in an emulated machine: what runs later must not be read then. */
const readAhead = (): void => {
  const files = [execPath, program, ...readdirSync(dist).map((file) => join(dist, file))];
  execFileSync('sh', ['-c', 'cat -- "$@" 2>/dev/null >/dev/null || true', 'sh', ...files]);
};

/** What a case's pods are, whatever they do: cases in a row with the same pods keep pods and scheduler. */
const podsKey = (one: Case, policy: string): string =>
  JSON.stringify(
    podsOf(one, policy).map((pod) => ({
      ...pod,
      containers: pod.containers.map(({ work: _work, ...rest }) => rest),
    })),
  );

/** The load of `one` on pods that were made for a case with the same pods. */
const withWorkOf = (pods: readonly NodePod[], one: Case): NodePod[] =>
  pods.map((pod) => {
    const spec = one.pods.find(({ name }) => name === pod.spec.name) ?? pod.spec;
    const containers = pod.containers.map((container, index) => ({
      ...container,
      spec: spec.containers[index] ?? container.spec,
    }));
    return { ...pod, spec, containers };
  });

const failedWindow = (policy: string, one: Case, scheduler: string, failure: string): MeasuredWindow => ({
  policy,
  case: one.name,
  scheduler,
  failure,
  windowMs: 0,
  maxLateMs: 0,
  services: [],
  progress: [],
  podSeconds: {},
  containerSeconds: {},
  podsSeconds: 0,
  otherSeconds: 0,
  waits: {},
});

interface OpenPolicy {
  key: string;
  pods: NodePod[];
  running: RunningPolicy;
  scheduler: string;
  observer: ReturnType<typeof observe> | undefined;
}

/** Pods of which the agent has the right cgroup, their own or their container's, in a slot. */
const slotsRight = (
  pods: readonly NodePod[],
  slots: readonly { pod: string; cgroupId: string }[] | undefined,
): Pick<MeasuredWindow, 'slots'> => {
  if (slots === undefined) return {};
  const found = new Set(slots.map(({ pod, cgroupId }) => `${pod} ${cgroupId}`));
  const slos = slosOf(pods);
  const isRight = ({ spec, cgroup, containers }: NodePod): boolean =>
    [cgroup, ...containers.map((one) => one.cgroup)].some((path) =>
      found.has(`${spec.name} ${cgroupId(path)}`),
    );
  return { slots: { have: slos.filter(isRight).length, want: slos.length } };
};

const hasAgent = (policy: string): boolean => policy === 'scx-slo' || policy === 'edf';

class Bench {
  readonly #scenario: Scenario;
  readonly #job: Job;
  readonly #nsPerTurn: number;
  #open: OpenPolicy | undefined;

  constructor(scenario: Scenario, job: Job, nsPerTurn: number) {
    this.#scenario = scenario;
    this.#job = job;
    this.#nsPerTurn = nsPerTurn;
  }

  #load(one: Case): LoadOptions {
    const { warmUpSeconds } = this.#scenario;
    const windowSeconds = one.windowSeconds ?? this.#scenario.windowSeconds;
    return {
      program,
      cpus,
      nsPerTurn: this.#nsPerTurn,
      seeds: this.#job.seeds,
      settleMs: SETTLE_MS,
      warmUpMs: warmUpSeconds * 1000,
      windowMs: windowSeconds * 1000,
      graceMs: GRACE_MS,
    };
  }

  /** Pods on the node, then whoever schedules them. */
  async #start(policy: string, one: Case): Promise<OpenPolicy> {
    const key = `${policy} ${podsKey(one, policy)}`;
    if (this.#open?.key === key) return this.#open;
    await this.close();
    const pods = makePods(podsOf(one, policy), { cpus, weights: weightsOf(policy), podsDir });
    const slos = slosOf(pods);
    try {
      const waitFor = slos.map(({ spec }) => spec.name);
      const running = await startPolicy(policy, { job: this.#job, project, podsDir, logDir, waitFor });
      const observer = slos.length > 0 ? observe(slos) : undefined;
      this.#open = { key, pods, running, scheduler: schedulerName(), observer };
      return this.#open;
    } catch (error) {
      await removePods(pods, podsDir);
      throw error;
    }
  }

  /** One policy in one case. What goes wrong is in the window's `failure`. */
  async window(policy: string, one: Case): Promise<MeasuredWindow> {
    let scheduler = 'none';
    try {
      const open = await this.#start(policy, one);
      scheduler = open.scheduler;
      const measured = await measureWindow(withWorkOf(open.pods, one), {
        policy,
        caseName: one.name,
        scheduler,
        load: this.#load(one),
        withAgent: hasAgent(policy),
        observer: open.observer,
        countPrograms: this.#scenario.countPrograms === true,
      });
      const slots = slotsRight(open.pods, await open.running.slots());
      killPods();
      const after = schedulerName();
      const left =
        after === scheduler ? {} : { failure: `${scheduler} left in the window, ${after} took over` };
      return { ...measured, ...slots, ...left };
    } catch (error) {
      await this.close();
      return failedWindow(policy, one, scheduler, errorText(error));
    }
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    killPods();
    open.observer?.close();
    await open.running.stop();
    await removePods(open.pods, podsDir);
  }
}

/** A window that a step of rising load ends at. */
const isFull = (scenario: Scenario, window: MeasuredWindow): boolean => {
  const limit = scenario.stopAboveP99Ms;
  const service = window.services.find(({ pod }) => pod === scenario.primary);
  if (limit === undefined || service === undefined) return window.failure !== undefined;
  const sorted = service.latenciesMs.toSorted((a, b) => a - b);
  return (sorted[Math.ceil(0.99 * sorted.length) - 1] ?? 0) > limit;
};

const summaryOf = (window: MeasuredWindow): string => {
  if (window.failure !== undefined) return window.failure;
  const parts = window.services.slice(0, 3).map(({ pod, latenciesMs, backlog }) => {
    const sorted = latenciesMs.toSorted((a, b) => a - b);
    const p99 = sorted[Math.ceil(0.99 * sorted.length) - 1] ?? Number.NaN;
    return `${pod} p99 ${p99.toFixed(1)} ms${backlog > 20 ? `, ${backlog} behind` : ''}`;
  });
  return [window.scheduler, ...parts].join(', ');
};

const measureAll = async (scenario: Scenario, job: Job, nsPerTurn: number): Promise<MeasuredWindow[]> => {
  const bench = new Bench(scenario, job, nsPerTurn);
  const windows: MeasuredWindow[] = [];
  for (const policy of job.order) {
    for (const one of scenario.cases) {
      if (policy === ALONE_AGAIN && one !== scenario.cases[0]) break;
      const window = await bench.window(policy, one);
      windows.push(window);
      say(`${policy}, ${one.name}: ${summaryOf(window)}`);
      if (scenario.stopAboveP99Ms !== undefined && isFull(scenario, window)) break;
    }
    await bench.close();
  }
  return windows;
};

const main = async (): Promise<void> => {
  mkdirSync(logDir, { recursive: true });
  const job: Job = JSON.parse(readFileSync(process.env.SCX_SLO_BENCH_JOB ?? '', 'utf8'));
  const scenario = SCENARIOS.find(({ name }) => name === job.scenario);
  if (scenario === undefined) throw new Error(`no scenario ${job.scenario}`);
  // The observer's object is not beside this bundle, where it would be looked for.
  process.env.SCX_SLO_BPF_DIR = join(project, 'build/bpf');
  openNodeCgroups(cpus);
  const restoreHugePages = stopHugePages();
  try {
    readAhead();
    const nsPerTurn = Number(execFileSync(program, ['calibrate'], { encoding: 'utf8' })) / 1e6;
    const topology = readTopology(hostSysfs);
    say(`${cpus} CPUs, ${topology.llcCount} LLCs, ${nsPerTurn.toFixed(2)} ns a turn`);
    const windows = await measureAll(scenario, job, nsPerTurn);
    const measured: MeasuredRun = {
      scenario: scenario.name,
      run: job.run,
      kernel: release(),
      cpus,
      llcs: topology.llcCount,
      order: job.order,
      nsPerTurn,
      windows,
    };
    writeFileSync(join(out, 'measured.json'), JSON.stringify(measured));
  } finally {
    restoreHugePages();
    await closeNodeCgroups();
  }
};

await main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stdout.write(
      `error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exit(1);
  },
);
