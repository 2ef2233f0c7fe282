/** One measured phase on the demo's node: load, CPU accounts of its window, misses of its window. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamSpec } from '../bench/stream.ts';
import { accountFiles, type CpuAccounts, cpuUseOf } from './accounting.ts';
import { type AgentState, type RunningAgent, schedExt } from './agent-process.ts';
import { runLoadProcess } from './load-run.ts';
import { cgroupDir, otherCgroups } from './node-cgroups.ts';
import type { RunningPod } from './pod-sandbox.ts';
import type { MeasuredPhase, ServiceLoad } from './result.ts';
import { BUSY_CONNECTIONS, QUIET_CONNECTIONS, SEED, SETTLE_SECONDS } from './scenario.ts';

export interface PhasePlan {
  name: MeasuredPhase['name'];
  seconds: number;
  /** Of the same load before the window; 0: the window shows how the load begins. */
  warmUpSeconds: number;
  /** The load; the CPU of every service is accounted for, called or not. */
  calls: readonly ServiceLoad[];
  services: ReadonlyMap<string, RunningPod>;
  batch: readonly RunningPod[];
  agent: RunningAgent;
}

export interface PhaseContext {
  cpus: number;
  program: string;
  workDir: string;
  say: (text: string) => void;
}

/** Above all that the scheduler under test decides about, below the kernel's own threads. */
const REALTIME_PRIORITY = 50;

const statOf = (pod: RunningPod): string => `${cgroupDir(pod.cgroup)}/cpu.stat`;

const missesOf = (state: AgentState, name: string): Record<string, number> => {
  const total: Record<string, number> = {};
  for (const pod of state.pods) {
    if (pod.pod !== name) continue;
    for (const [reason, count] of Object.entries(pod.misses)) total[reason] = (total[reason] ?? 0) + count;
  }
  return total;
};

const grown = (before: Record<string, number>, after: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(after).map(([reason, count]) => [reason, count - (before[reason] ?? 0)]));

const streamsOf = (plan: PhasePlan, cpus: number): StreamSpec[] =>
  plan.calls.map(({ name, ratePerSecond }, index) => ({
    name,
    host: plan.services.get(name)?.podIp ?? '',
    port: 8080,
    workers: cpus,
    ratePerSecond,
    seed: SEED + 100 * index,
    connections: plan.batch.length > 0 ? BUSY_CONNECTIONS : QUIET_CONNECTIONS,
  }));

const runs = (): string => {
  const found = schedExt();
  return found?.state === 'enabled' ? `sched_ext ${found.ops}` : 'EEVDF';
};

/** Stops pods in their tracks, or lets them go on. */
export const setFrozen = (pods: readonly RunningPod[], freeze: boolean): void => {
  for (const pod of pods) writeFileSync(`${cgroupDir(pod.cgroup)}/cgroup.freeze`, freeze ? '1' : '0');
};

export const runPhase = async (plan: PhasePlan, context: PhaseContext): Promise<MeasuredPhase> => {
  const { cpus, say } = context;
  const accounts: CpuAccounts = {
    services: Object.fromEntries([...plan.services].map(([name, pod]) => [name, statOf(pod)])),
    batch: plan.batch.map(statOf),
    other: otherCgroups().map((path) => `${cgroupDir(path)}/cpu.stat`),
  };
  const spec = {
    settleSeconds: SETTLE_SECONDS,
    warmUpSeconds: plan.warmUpSeconds,
    seconds: plan.seconds,
    graceSeconds: 0.3,
    streams: streamsOf(plan, cpus),
    realtimePriority: REALTIME_PRIORITY,
    snapshotFiles: accountFiles(accounts),
  };
  const scheduler = runs();
  say(`${plan.name}: ${scheduler}, opening connections`);
  // The generator starts and opens its connections in peace; batch runs again before the first request.
  setFrozen(plan.batch, true);
  let atStart: Promise<AgentState> | undefined;
  const loaded = await runLoadProcess(plan.name.replace(' ', '-'), spec, {
    ...context,
    onOpen: () => setFrozen(plan.batch, false),
    onSoon: () => {
      atStart = plan.agent.state();
      say(`${plan.name}: measuring for ${plan.seconds} s`);
    },
    onSecond: (second) => {
      if (second % 5 === 0) say(`${plan.name}: ${second} s`);
    },
  });
  if (runs() !== scheduler)
    throw new Error(`the scheduler changed in phase ${plan.name}: ${scheduler} -> ${runs()}`);
  const before = await atStart;
  // The agent reads its counters five times a second.
  await sleep(300);
  const after = await plan.agent.state();
  writeFileSync(
    join(context.workDir, `${plan.name.replace(' ', '-')}-agent.json`),
    JSON.stringify({ before, after }, null, 1),
  );
  const { before: _b, after: _a, ...load } = loaded;
  return {
    name: plan.name,
    scheduler,
    load,
    cpu: cpuUseOf(loaded, accounts, cpus),
    services: [...plan.calls],
    misses: Object.fromEntries(
      plan.calls.map(({ name }) => [
        name,
        grown(before === undefined ? {} : missesOf(before, name), missesOf(after, name)),
      ]),
    ),
  };
};
