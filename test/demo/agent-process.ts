/** The real agent as a process of its own cgroup, and what it says about the pods. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT_CGROUP, cgroupDir, makeCgroup } from './node-cgroups.ts';
import { HOST_IP } from './pod-network.ts';

/** What the demo reads of a pod in GET /v1/pods. */
export interface PodState {
  namespace: string;
  pod: string;
  container: string;
  slot: number;
  cgroupId: string;
  misses: Record<string, number>;
  shed: number;
  reservedCpus: number;
}

export interface AgentState {
  mode: string;
  modeReason: unknown;
  pods: PodState[];
}

export interface RunningAgent {
  state(): Promise<AgentState>;
  stop(): Promise<void>;
}

export interface AgentOptions {
  program: string;
  podsDir: string;
  logDir: string;
  /** Pods that must have a slot before the agent counts as started. */
  waitFor: readonly string[];
  /** Where pods ask for their signal; default: the node's address in the demo's network. */
  signalAddress?: string;
  /** More flags and environment, for the bench. */
  flags?: readonly string[];
  env?: NodeJS.ProcessEnv;
}

const LOCAL = '127.0.0.1:7090';
/** With a thousand pods on an emulated node it takes more than a minute. */
const START_LIMIT_MS = 180_000;

/** `enabled` and whose scheduler, as the kernel says; undefined without sched_ext. */
export const schedExt = (): { state: string; ops: string } | undefined => {
  const read = (name: string): string => {
    try {
      return readFileSync(`/sys/kernel/sched_ext/${name}`, 'utf8').trim();
    } catch {
      return '';
    }
  };
  const state = read('state');
  return state === '' ? undefined : { state, ops: read('root/ops') };
};

const stateOf = async (): Promise<AgentState> => {
  const response = await fetch(`http://${LOCAL}/v1/pods`);
  const state: AgentState = JSON.parse(await response.text());
  return state;
};

const isReady = (state: AgentState, mode: string, waitFor: readonly string[]): boolean => {
  const have = new Set(state.pods.map((pod) => pod.pod));
  if (mode === 'enforce' && schedExt()?.state !== 'enabled') return false;
  return state.mode === mode && waitFor.every((pod) => have.has(pod));
};

/** Starts the agent and waits until it does what `mode` says; throws with its own reason when it does not. */
export const startAgent = async (
  mode: 'observe' | 'enforce',
  options: AgentOptions,
): Promise<RunningAgent> => {
  makeCgroup(AGENT_CGROUP);
  const flags = ['--mode', mode, '--pods-dir', options.podsDir, '--local-address', LOCAL];
  const signalAddress = options.signalAddress ?? `${HOST_IP}:7080`;
  const addresses = ['--signal-address', signalAddress, '--metrics-address', '127.0.0.1:9090'];
  const intoCgroup = 'echo 0 > "$0/cgroup.procs" && exec "$@"';
  const command = [process.execPath, options.program, ...flags, ...addresses, ...(options.flags ?? [])];
  const child = spawn('sh', ['-c', intoCgroup, cgroupDir(AGENT_CGROUP), ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  const logFile = join(options.logDir, `agent-${mode}.log`);
  const log = createWriteStream(logFile);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const startedMs = performance.now();
  let last: AgentState | undefined;
  while (performance.now() - startedMs < START_LIMIT_MS && child.exitCode === null) {
    await sleep(100);
    last = await stateOf().catch(() => undefined);
    if (last === undefined || !isReady(last, mode, options.waitFor)) continue;
    return {
      state: stateOf,
      stop: async () => {
        if (child.exitCode !== null) return;
        child.kill('SIGTERM');
        await once(child, 'exit');
      },
    };
  }
  child.kill('SIGKILL');
  const logTail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-12).join('\n');
  throw new Error(
    `the agent is not in mode ${mode} (says ${last?.mode ?? 'nothing'}: ${JSON.stringify(last?.modeReason ?? null)}; sched_ext ${JSON.stringify(schedExt())}). Its log:\n${logTail}`,
  );
};
