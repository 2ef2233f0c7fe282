/**
 * The demo on the node itself: `inside.mjs PROJECT-DIR OUT-DIR`. Runs as root on a kernel with sched_ext, in the
 * demo's virtual machine or (HOST=1) on this machine. Leaves OUT-DIR/measured.json and logs.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { argv, execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { calibrate } from '../bench/calibrate.ts';
import { STEADY_ENGINE } from '../bench/engine-flags.ts';
import { usageSeconds } from './accounting.ts';
import { startAgent } from './agent-process.ts';
import { cgroupDir, closeNodeCgroups, openNodeCgroups } from './node-cgroups.ts';
import { type PhaseContext, type PhasePlan, runPhase, setFrozen } from './node-phase.ts';
import { type Pod, podsOf } from './pod.ts';
import { openNodeNetwork } from './pod-network.ts';
import { type RunningPod, type SandboxOptions, startPod } from './pod-sandbox.ts';
import { stopHugePages } from './quiet-kernel.ts';
import type { DemoPod, Measured, MeasuredPhase, ServiceLoad } from './result.ts';
import {
  AGAIN_SECONDS,
  BATCH,
  BATCH_THREADS_PER_CPU,
  CHECKOUT,
  PHASE_SECONDS,
  RECOMMENDATIONS,
  SETTLE_SECONDS,
} from './scenario.ts';
import { startWebhook } from './webhook-call.ts';

const [, , project = '', out = ''] = argv;
const dist = join(project, 'build/dist');
const programs = join(project, 'build/vm/demo');
const logDir = join(out, 'logs');
const podsDir = '/run/scx-slo-demo/pods';
const cpus = availableParallelism();
const startedMs = performance.now();

const say = (text: string): void => {
  process.stdout.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);
};

/** Disks are slow in an emulated machine: what runs later must not be read then. */
const readAhead = (): void => {
  const files = [
    execPath,
    ...[dist, programs].flatMap((dir) => readdirSync(dir).map((file) => join(dir, file))),
  ];
  execFileSync('sh', ['-c', 'cat -- "$@" 2>/dev/null >/dev/null || true', 'sh', ...files]);
};

const admitAll = async (): Promise<Map<string, Pod>> => {
  const webhook = await startWebhook(join(dist, 'webhook.mjs'), logDir);
  say('webhook: serving over TLS 1.3, its certificate signed by a CA of this run');
  const dir = join(project, 'manifests/demo');
  const pods = readdirSync(dir).flatMap((file) => podsOf(readFileSync(join(dir, file), 'utf8')));
  const admitted = new Map<string, Pod>();
  for (const pod of pods) {
    const { pod: result, operations, warnings, milliseconds } = await webhook.admit(pod);
    const record = Object.entries(result.metadata.annotations ?? {}).filter(([key]) =>
      key.startsWith('effective.'),
    );
    const told = record
      .map(([key, value]) => `${key.slice('effective.scx-slo.io/'.length)}=${value}`)
      .join(' ');
    const { namespace, name } = pod.metadata;
    say(
      `admitted ${namespace}/${name} in ${milliseconds.toFixed(0)} ms: ${operations > 0 ? `${operations} patch operations, ${told}` : 'nothing to do'}`,
    );
    for (const warning of warnings) say(`  warning: ${warning}`);
    admitted.set(name, result);
  }
  await webhook.stop();
  return admitted;
};

const answers = async (pod: RunningPod): Promise<void> => {
  for (let tries = 0; tries < 300; tries += 1) {
    const up = await fetch(`http://${pod.podIp}:8080/stats`).then(
      (response) => response.ok,
      () => false,
    );
    if (up) return;
    await sleep(50);
  }
  throw new Error(`${pod.pod.metadata.name} does not answer on ${pod.podIp}:8080`);
};

const calibrated = async (pod: RunningPod, nominalMs: number): Promise<void> => {
  const cpuSeconds = (): number =>
    usageSeconds(readFileSync(`${cgroupDir(pod.cgroup)}/cpu.stat`, 'utf8')) ?? 0;
  for (let worker = 0; worker < cpus; worker += 1) {
    const { httpMs, cpuMs } = await calibrate(
      { host: pod.podIp, port: 8080 + worker },
      nominalMs,
      cpuSeconds,
    );
    say(
      `${pod.pod.metadata.name}: a request costs ${cpuMs.toFixed(2)} ms of CPU, ${httpMs.toFixed(2)} ms of it HTTP (wanted: ${nominalMs} ms)`,
    );
  }
};

/** Lets a service finish what the last phase left in its queue; batch pauses meanwhile. */
const drained = async (service: RunningPod, batch: readonly RunningPod[]): Promise<void> => {
  setFrozen(batch, true);
  const used = (): number => usageSeconds(readFileSync(`${cgroupDir(service.cgroup)}/cpu.stat`, 'utf8')) ?? 0;
  for (let last = used(), now = last + 1; now - last > 0.01; ) {
    last = used();
    await sleep(200);
    now = used();
  }
  setFrozen(batch, false);
};

const describe = (pod: RunningPod): DemoPod => {
  const { name, namespace, annotations = {} } = pod.pod.metadata;
  const budget = annotations['effective.scx-slo.io/budget-ms'];
  const importance = annotations['effective.scx-slo.io/importance'];
  return {
    name,
    namespace,
    ...('effective.scx-slo.io/budget-ms' in annotations ? { budgetMs: Number(budget) } : {}),
    ...('effective.scx-slo.io/importance' in annotations ? { importance: Number(importance) } : {}),
    cgroup: pod.cgroup,
    cgroupId: pod.cgroupId,
  };
};

const pods: RunningPod[] = [];

const start = async (admitted: Map<string, Pod>, name: string): Promise<RunningPod> => {
  const manifest = admitted.get(name);
  if (manifest === undefined) throw new Error(`manifests/demo has no pod ${name}`);
  const options: SandboxOptions = {
    podsDir,
    logDir,
    images: { 'scx-slo/demo-service': [execPath, ...STEADY_ENGINE, join(programs, 'service.mjs')] },
    env: { WORKERS: String(cpus) },
  };
  const pod = await startPod(manifest, pods.length, options);
  pods.push(pod);
  return pod;
};

const callsOf = (service: typeof CHECKOUT | typeof RECOMMENDATIONS): ServiceLoad => ({
  name: service.name,
  nominalMs: service.nominalMs,
  ratePerSecond: service.ratePerSecondPerCpu * cpus,
});

const measure = async (): Promise<MeasuredPhase[]> => {
  const admitted = await admitAll();
  const services = new Map<string, RunningPod>();
  for (const { name } of [CHECKOUT, RECOMMENDATIONS]) services.set(name, await start(admitted, name));
  for (const { name, nominalMs } of [CHECKOUT, RECOMMENDATIONS]) {
    const pod = services.get(name);
    if (pod === undefined) continue;
    await answers(pod);
    await calibrated(pod, nominalMs);
  }
  const context: PhaseContext = { cpus, program: join(programs, 'load.mjs'), workDir: logDir, say };
  const agentOptions = { program: join(dist, 'agent.mjs'), podsDir, logDir, waitFor: [...services.keys()] };
  const phases: MeasuredPhase[] = [];
  const phase = async (plan: Omit<PhasePlan, 'services'>): Promise<void> => {
    const result = await runPhase({ ...plan, services }, context);
    phases.push(result);
  };
  const checkout = services.get(CHECKOUT.name);
  if (checkout === undefined) return phases;
  const calls = [callsOf(CHECKOUT)];

  const observer = await startAgent('observe', agentOptions);
  say('agent: observing, the kernel schedules');
  await sleep(SETTLE_SECONDS * 1000);
  await phase({ name: 'alone', seconds: PHASE_SECONDS, calls, batch: [], agent: observer });
  await phase({ name: 'alone again', seconds: AGAIN_SECONDS, calls, batch: [], agent: observer });
  const batch: RunningPod[] = [];
  for (const name of BATCH) batch.push(await start(admitted, name));
  say(
    `batch: ${BATCH.length} pods, ${BATCH_THREADS_PER_CPU * cpus} busy threads each, same cpu.weight as checkout`,
  );
  await phase({ name: 'default', seconds: PHASE_SECONDS, calls, batch, agent: observer });
  await observer.stop();
  await drained(checkout, batch);

  say('agent: starting to enforce while batch keeps the node busy');
  const enforcer = await startAgent('enforce', agentOptions);
  say('agent: enforcing, the scheduler is attached');
  await phase({ name: 'scx-slo', seconds: PHASE_SECONDS, calls, batch, agent: enforcer });
  await drained(checkout, batch);
  const both = [...calls, callsOf(RECOMMENDATIONS)];
  await phase({ name: 'overload', seconds: PHASE_SECONDS, calls: both, batch, agent: enforcer });
  await enforcer.stop();
  return phases;
};

const main = async (): Promise<void> => {
  mkdirSync(logDir, { recursive: true });
  mkdirSync(podsDir, { recursive: true });
  say(`node: Linux ${release()}, ${cpus} ${cpus === 1 ? 'CPU' : 'CPUs'}`);
  openNodeCgroups(cpus);
  const closeNetwork = openNodeNetwork();
  const restoreHugePages = stopHugePages();
  try {
    readAhead();
    const phases = await measure();
    const measured: Measured = {
      kernel: release(),
      cpus,
      pods: pods.map(describe),
      batchThreads: BATCH.length * BATCH_THREADS_PER_CPU * cpus,
      phases,
    };
    writeFileSync(join(out, 'measured.json'), JSON.stringify(measured));
    say('done');
  } finally {
    for (const pod of pods) await pod.stop();
    restoreHugePages();
    closeNetwork();
    await closeNodeCgroups();
    rmSync('/run/scx-slo-demo', { recursive: true, force: true });
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
