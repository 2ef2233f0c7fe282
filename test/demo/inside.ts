/**
 * The demo on the node itself: `inside.mjs PROJECT-DIR OUT-DIR`. Runs as root on a kernel with sched_ext, in the
 * demo's virtual machine or (HOST=1) on this machine. Leaves OUT-DIR/measured.json and logs.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { argv, execPath } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { STEADY_ENGINE } from '../bench/engine-flags.ts';
import { admitAll } from './admission.ts';
import { startAgent } from './agent-process.ts';
import { exitAfter, say } from './guest-program.ts';
import { type PhaseContext, type PhasePlan, runPhase, setFrozen } from './node-phase.ts';
import type { Pod } from './pod.ts';
import { type RunningPod, type SandboxOptions, startPod } from './pod-sandbox.ts';
import { measureOnNode, PODS_DIR } from './prepared-node.ts';
import type { DemoPod, Measured, MeasuredPhase, ServiceLoad } from './result.ts';
import {
  BATCH,
  BATCH_THREADS_PER_CPU,
  CHECKOUT,
  PHASE_SECONDS,
  RECOMMENDATIONS,
  SETTLE_SECONDS,
  WARM_UP_SECONDS,
} from './scenario.ts';
import { quiet, readyService } from './service-start.ts';

const [, , project = '', out = ''] = argv;
const dist = join(project, 'build/dist');
const programs = join(project, 'build/vm/demo');
const logDir = join(out, 'logs');
const cpus = availableParallelism();

/** Lets a service finish what the last phase left in its queue; batch pauses meanwhile. */
const drained = async (service: RunningPod, batch: readonly RunningPod[]): Promise<void> => {
  setFrozen(batch, true);
  await quiet(service);
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
    podsDir: PODS_DIR,
    logDir,
    programs,
    node: [execPath, ...STEADY_ENGINE],
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
  const admitted = await admitAll({ project, dist, logDir, say });
  const services = new Map<string, RunningPod>();
  for (const { name } of [CHECKOUT, RECOMMENDATIONS]) services.set(name, await start(admitted, name));
  for (const { name, nominalMs } of [CHECKOUT, RECOMMENDATIONS]) {
    const pod = services.get(name);
    if (pod === undefined) continue;
    await readyService(pod, nominalMs, cpus, say);
  }
  const context: PhaseContext = { cpus, program: join(programs, 'load.mjs'), workDir: logDir, say };
  const agentOptions = {
    program: join(dist, 'agent.mjs'),
    podsDir: PODS_DIR,
    logDir,
    waitFor: [...services.keys()],
  };
  const phases: MeasuredPhase[] = [];
  const phase = async (
    plan: Omit<PhasePlan, 'services' | 'seconds' | 'warmUpSeconds'>,
    warmUpSeconds = WARM_UP_SECONDS,
  ): Promise<void> => {
    const result = await runPhase({ ...plan, services, seconds: PHASE_SECONDS, warmUpSeconds }, context);
    phases.push(result);
  };
  const checkout = services.get(CHECKOUT.name);
  if (checkout === undefined) return phases;
  const calls = [callsOf(CHECKOUT)];

  const observer = await startAgent('observe', agentOptions);
  say('agent: observing, the kernel schedules');
  await sleep(SETTLE_SECONDS * 1000);
  await phase({ name: 'alone', calls, batch: [], agent: observer });
  await phase({ name: 'alone again', calls, batch: [], agent: observer });
  const batch: RunningPod[] = [];
  for (const name of BATCH) batch.push(await start(admitted, name));
  say(
    `batch: ${BATCH.length} pods, ${BATCH_THREADS_PER_CPU * cpus} busy threads each, same cpu.weight as checkout`,
  );
  await phase({ name: 'default', calls, batch, agent: observer });
  await observer.stop();
  await drained(checkout, batch);

  say('agent: starting to enforce while batch keeps the node busy');
  const enforcer = await startAgent('enforce', agentOptions);
  say('agent: enforcing, the scheduler is attached');
  await phase({ name: 'scx-slo', calls, batch, agent: enforcer });
  await drained(checkout, batch);
  const both = [...calls, callsOf(RECOMMENDATIONS)];
  await phase({ name: 'overload', calls: both, batch, agent: enforcer }, 0);
  await enforcer.stop();
  return phases;
};

type OwnMeasured = Omit<Measured, 'kernel' | 'cpus'>;

const measured = async (): Promise<OwnMeasured> => {
  const phases = await measure();
  return { pods: pods.map(describe), batchThreads: BATCH.length * BATCH_THREADS_PER_CPU * cpus, phases };
};

await exitAfter(() => measureOnNode({ cpus, out, folders: [dist, programs], pods: () => pods }, measured));
