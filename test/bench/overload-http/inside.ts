/** The overload over HTTP on the node itself: `inside.mjs PROJECT-DIR OUT-DIR`. Leaves OUT-DIR/measured.json. */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { argv, execPath } from 'node:process';
import { cpuUseOf } from '../../demo/accounting.ts';
import { type RunningAgent, schedExt, startAgent } from '../../demo/agent-process.ts';
import { exitAfter, say } from '../../demo/guest-program.ts';
import { runLoadProcess } from '../../demo/load-run.ts';
import { cgroupDir } from '../../demo/node-cgroups.ts';
import type { Pod } from '../../demo/pod.ts';
import { HOST_IP } from '../../demo/pod-network.ts';
import { type RunningPod, startPod } from '../../demo/pod-sandbox.ts';
import { measureOnNode, PODS_DIR } from '../../demo/prepared-node.ts';
import { quiet, readyService } from '../../demo/service-start.ts';
import { STEADY_ENGINE } from '../engine-flags.ts';
import type { StreamSpec } from '../stream.ts';
import type { MeasuredOverload, MeasuredWindow } from './figures.ts';
import {
  CONNECTIONS,
  GRACE_SECONDS,
  type HttpService,
  SEED,
  SERVICES,
  SETTLE_SECONDS,
  VARIANTS,
  WARM_UP_SECONDS,
  WINDOW_SECONDS,
} from './plan.ts';

const [, , project = '', out = ''] = argv;
const dist = join(project, 'build/dist');
const programs = join(project, 'build/vm/overload-http');
const logDir = join(out, 'logs');
const cpus = availableParallelism();
/** Above all that the scheduler under test decides about, below the kernel's own threads. */
const REALTIME_PRIORITY = 50;

const manifestOf = ({ name, importance, budgetMs }: HttpService): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'shop',
    annotations: {
      'scx-slo.io/budget-ms': String(budgetMs),
      'scx-slo.io/importance': String(importance),
    },
  },
  spec: {
    containers: [
      {
        name: 'app',
        image: 'scx-slo/overload-service:0.1.0',
        command: ['node', '/opt/scx-slo/demo/service.mjs'],
        env: [
          { name: 'SCX_SLO_ENDPOINT', value: `http://${HOST_IP}:7080` },
          { name: 'SCX_SLO_BUDGET_MS', value: String(budgetMs) },
        ],
        resources: { requests: { cpu: '100m' } },
      },
    ],
  },
});

const pods = new Map<string, RunningPod>();

const startServices = async (): Promise<void> => {
  const node = [execPath, ...STEADY_ENGINE];
  for (const [index, service] of SERVICES.entries()) {
    const pod = await startPod(manifestOf(service), index, {
      podsDir: PODS_DIR,
      logDir,
      programs,
      node,
      env: {},
    });
    pods.set(service.name, pod);
    await readyService(pod, service.requestMs, 1, say);
  }
};

const switchShedding = async (on: boolean): Promise<void> => {
  for (const { podIp } of pods.values()) {
    const url = `http://${podIp}:8080/shedding?on=${on ? 1 : 0}`;
    const { status } = await fetch(url, { method: 'PUT' });
    if (status !== 204) throw new Error(`${url}: ${status}`);
  }
};

const streamsOf = (load: number): StreamSpec[] =>
  SERVICES.map(({ name, requestMs, share }, index) => ({
    name,
    host: pods.get(name)?.podIp ?? '',
    port: 8080,
    workers: 1,
    ratePerSecond: (share * load * cpus * 1000) / requestMs,
    seed: SEED + 100 * index,
    connections: CONNECTIONS,
  }));

const schedulerName = (): string => {
  const found = schedExt();
  return found?.state === 'enabled' ? `sched_ext ${found.ops}` : 'EEVDF';
};

const accounts = () => ({
  services: Object.fromEntries([...pods].map(([name, pod]) => [name, `${cgroupDir(pod.cgroup)}/cpu.stat`])),
  batch: [],
  other: [],
});

const measure = async (
  variant: MeasuredWindow['variant'],
  load: number,
  agent: RunningAgent,
): Promise<MeasuredWindow> => {
  const name = `${variant.replaceAll(/\W+/g, '-')}-${load}`;
  const spec = {
    settleSeconds: SETTLE_SECONDS,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds: WINDOW_SECONDS,
    graceSeconds: GRACE_SECONDS,
    streams: streamsOf(load),
    realtimePriority: REALTIME_PRIORITY,
    snapshotFiles: Object.values(accounts().services),
  };
  const scheduler = schedulerName();
  const states: Promise<unknown>[] = [];
  const result = await runLoadProcess(name, spec, {
    program: join(programs, 'load.mjs'),
    workDir: logDir,
    onOpen: () => undefined,
    onSoon: () => say(`${variant}, ${load} x: measuring for ${WINDOW_SECONDS} s`),
    onSecond: () => states.push(agent.state()),
  });
  if (schedulerName() !== scheduler) throw new Error(`the scheduler changed in ${name}`);
  writeFileSync(join(logDir, `${name}-agent.json`), JSON.stringify(await Promise.all(states)));
  for (const pod of pods.values()) await quiet(pod);
  return {
    variant,
    load,
    scheduler,
    windowMs: result.windowMs,
    streams: result.streams,
    cpuSeconds: cpuUseOf(result, accounts(), cpus).services,
  };
};

const runAll = async (): Promise<MeasuredWindow[]> => {
  const windows: MeasuredWindow[] = [];
  await startServices();
  for (const { name, mode, shedding, loads } of VARIANTS) {
    const agent = await startAgent(mode, {
      program: join(dist, 'agent.mjs'),
      podsDir: PODS_DIR,
      logDir,
      waitFor: SERVICES.map((service) => service.name),
      flags: shedding ? [] : ['--shed-dry-run'],
    });
    await switchShedding(shedding);
    for (const load of loads) windows.push(await measure(name, load, agent));
    await switchShedding(false);
    await agent.stop();
  }
  return windows;
};

type OwnMeasured = Omit<MeasuredOverload, 'kernel' | 'cpus'>;

const measured = async (): Promise<OwnMeasured> => ({ windows: await runAll() });

await exitAfter(() =>
  measureOnNode({ cpus, out, folders: [dist, programs], pods: () => pods.values() }, measured),
);
