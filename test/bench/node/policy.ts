/** Who schedules: starts a policy on the node, says what runs, and takes it away again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentOptions, schedExt, startAgent } from '../../demo/agent-process.ts';
import { AGENT_CGROUP, cgroupDir, makeCgroup, systemCgroup } from '../../demo/node-cgroups.ts';
import { layeredArguments } from '../layered.ts';
import type { Job } from '../measured.ts';
import type { Weights } from './pods.ts';

export interface PolicyContext {
  job: Job;
  project: string;
  podsDir: string;
  logDir: string;
  /** Pods with an SLO. */
  waitFor: readonly string[];
  /** Theirs, below the cgroup root. */
  latencyCgroups: readonly string[];
}

export interface RunningPolicy {
  /** Of its own processes, when it has any. */
  cgroup: string | undefined;
  /** Which cgroup of which pod has a slot, when an agent runs. */
  slots(): Promise<readonly { pod: string; cgroupId: string }[] | undefined>;
  stop(): Promise<void>;
}

const NOTHING: RunningPolicy = {
  cgroup: undefined,
  slots: async () => undefined,
  stop: async () => undefined,
};
/** Under emulation the verifier alone can take most of a minute. */
const PEER_START_LIMIT_MS = 180_000;
const PEER_STOP_LIMIT_MS = 15_000;

/** `eevdf`: all pods have the same weight; everything else runs beside the weights that kubelet sets. */
export const weightsOf = (policy: string): Weights => (policy === 'eevdf' ? 'equal' : 'requests');

/** `EEVDF`, or `sched_ext` and whose. */
export const schedulerName = (): string => {
  const found = schedExt();
  return found?.state === 'enabled' ? `sched_ext ${found.ops}` : 'EEVDF';
};

/** How often a sched_ext scheduler was enabled since boot: tells one that left and came back. */
export const enableCount = (): string => {
  try {
    return readFileSync('/sys/kernel/sched_ext/enable_seq', 'utf8').trim();
  } catch {
    return '';
  }
};

const untilState = async (wanted: string, limitMs: number, child?: ChildProcess): Promise<boolean> => {
  const until = performance.now() + limitMs;
  while (performance.now() < until) {
    if (schedExt()?.state === wanted) return true;
    if (child !== undefined && (child.exitCode !== null || child.signalCode !== null)) return false;
    await sleep(50);
  }
  return false;
};

const tail = (file: string, lines: number): string =>
  readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');

/** Its own, or where it has none what the scheduler needs to know of this node. */
const argumentsOf = (name: string, given: readonly string[], context: PolicyContext): readonly string[] =>
  name === 'scx_layered' && given.length === 0 ? layeredArguments(context.latencyCgroups) : given;

const startPeer = async (name: string, context: PolicyContext): Promise<RunningPolicy> => {
  const peer = context.job.peers[name];
  if (peer === undefined) throw new Error(`no binary for the policy ${name}`);
  const cgroup = systemCgroup('peer.service');
  makeCgroup(cgroup);
  const intoCgroup = 'echo 0 > "$0/cgroup.procs" && exec "$@"';
  const command = [join(context.project, peer.program), ...argumentsOf(name, peer.args, context)];
  const child = spawn('sh', ['-c', intoCgroup, cgroupDir(cgroup), ...command], {
    // A peer finds the files of its configuration beside itself.
    cwd: dirname(join(context.project, peer.program)),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const logFile = join(context.logDir, `${name}.log`);
  const log = createWriteStream(logFile);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  if (!(await untilState('enabled', PEER_START_LIMIT_MS, child))) {
    child.kill('SIGKILL');
    throw new Error(
      `${name} did not attach (${child.exitCode ?? child.signalCode ?? 'still starting'}): ${tail(logFile, 6)}`,
    );
  }
  return {
    cgroup,
    slots: async () => undefined,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGINT');
        const killed = setTimeout(() => child.kill('SIGKILL'), PEER_STOP_LIMIT_MS);
        await ended;
        clearTimeout(killed);
      }
      await untilState('disabled', PEER_STOP_LIMIT_MS);
    },
  };
};

const startOurs = async (
  mode: 'observe' | 'enforce',
  context: PolicyContext,
  env: NodeJS.ProcessEnv = {},
): Promise<RunningPolicy> => {
  const options: AgentOptions = {
    program: join(context.project, 'build/dist/agent.mjs'),
    podsDir: context.podsDir,
    logDir: context.logDir,
    waitFor: context.waitFor,
    signalAddress: 'off',
    flags: ['--ignore-cpu-limits'],
    env,
  };
  const agent = await startAgent(mode, options);
  return {
    cgroup: AGENT_CGROUP,
    slots: async () => (await agent.state()).pods,
    stop: async () => {
      await agent.stop();
      await untilState('disabled', PEER_STOP_LIMIT_MS);
    },
  };
};

/** Throws with the reason when the policy does not run here. */
export const startPolicy = async (name: string, context: PolicyContext): Promise<RunningPolicy> => {
  if (name === 'scx-slo') return await startOurs('enforce', context);
  if (name === 'edf') {
    const { edfObjects } = context.job;
    if (edfObjects === undefined) throw new Error('the edf object is not built');
    return await startOurs('enforce', context, { SCX_SLO_BPF_DIR: join(context.project, edfObjects) });
  }
  if (name in context.job.peers) return await startPeer(name, context);
  return NOTHING;
};
