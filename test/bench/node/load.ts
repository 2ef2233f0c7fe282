/** The load of one window: its files, the programs in the pods' cgroups, and the pacer. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroupDir } from '../../demo/node-cgroups.ts';
import { poissonArrivals } from '../arrivals.ts';
import { type PacerResult, parsePacerResult, readProgress, scheduleFile } from '../load-files.ts';
import { serviceRatePerSecond, type Work } from '../scenario.ts';
import { freezePods, type NodePod } from './pods.ts';

export interface LoadOptions {
  /** bench-load */
  program: string;
  cpus: number;
  /** Of one turn of the loop, on this machine, in this boot. */
  nsPerTurn: number;
  seeds: Readonly<Record<string, number>>;
  settleMs: number;
  warmUpMs: number;
  windowMs: number;
  graceMs: number;
}

/** One container's program and the file that it shares with the bench. */
export interface LoadPart {
  pod: NodePod;
  container: string;
  work: Work;
  file: string;
}

const DIR = '/dev/shm/scx-slo-bench';
const START_LIMIT_MS = 400_000;

const turnsFor = (cpuMs: number, options: LoadOptions): number =>
  Math.round((cpuMs * 1e6) / options.nsPerTurn);

const argumentsOf = ({ work, file }: LoadPart, options: LoadOptions): (string | number)[] => {
  switch (work.kind) {
    case 'service':
      return ['service', file];
    case 'hog':
      return ['hog', file, Math.max(1, Math.round(work.threadsPerCpu * options.cpus))];
    case 'wakers':
      return ['wakers', file, work.threads, work.periodUs, turnsFor(work.burnUs / 1000, options)];
    case 'pingpong':
      return ['pingpong', file, work.pairs];
    case 'messaging':
      return ['messaging', file, work.groups, work.members];
  }
};

const writeSchedule = ({ pod, work, file }: LoadPart, options: LoadOptions): void => {
  if (work.kind !== 'service') return;
  const seed = options.seeds[pod.spec.name];
  if (seed === undefined) throw new Error(`no seed for ${pod.spec.name}`);
  const { cpus } = options;
  const seconds = (options.warmUpMs + options.windowMs) / 1000;
  const ratePerSecond = serviceRatePerSecond(work, cpus);
  const arrivals = poissonArrivals({ seed, ratePerSecond, seconds, workers: cpus });
  writeFileSync(file, scheduleFile(arrivals, cpus, turnsFor(work.requestMs, options)));
};

const partsOf = (pods: readonly NodePod[]): LoadPart[] =>
  pods.flatMap((pod) =>
    pod.containers.map(({ spec }) => ({
      pod,
      container: spec.name,
      work: spec.work,
      file: join(DIR, `${pod.spec.name}.${spec.name}`),
    })),
  );

const isStarted = ({ file, work }: LoadPart): boolean => {
  if (work.kind === 'service') return true;
  try {
    return readProgress(readFileSync(file)) !== undefined;
  } catch {
    return false;
  }
};

const failed = (what: string, child: ChildProcess): Error =>
  new Error(`${what} ended with ${child.exitCode ?? child.signalCode}`);

/** Starts every program in its cgroup; resolves when all of them have made their files, and leaves the pods frozen. */
const launch = async (parts: readonly LoadPart[], options: LoadOptions): Promise<void> => {
  rmSync(DIR, { recursive: true, force: true });
  mkdirSync(DIR, { recursive: true });
  const lines = parts.map((part) => {
    writeSchedule(part, options);
    const cgroup = part.pod.containers.find(({ spec }) => spec.name === part.container)?.cgroup ?? '';
    return [cgroupDir(cgroup), ...argumentsOf(part, options)].join(' ');
  });
  const list = join(DIR, 'launch.list');
  writeFileSync(list, `${lines.join('\n')}\n`);
  const child = spawn(options.program, ['launch', list], { stdio: ['ignore', 'pipe', 'inherit'] });
  const until = performance.now() + START_LIMIT_MS;
  // They start in the order of the list: looking at those behind the first that is missing would only cost CPU.
  let started = 0;
  const isAnyMissing = (): boolean => {
    for (let part = parts[started]; part !== undefined && isStarted(part); part = parts[started])
      started += 1;
    return started < parts.length;
  };
  while (isAnyMissing()) {
    if (child.exitCode !== null || child.signalCode !== null) throw failed('launch', child);
    if (performance.now() > until)
      throw new Error(`${started} of ${parts.length} load programs started in time`);
    await sleep(20);
  }
  freezePods(true);
};

export interface PacerMarks {
  onFrom(): void;
  onTo(): void;
}

const pace = async (
  parts: readonly LoadPart[],
  accounts: readonly string[],
  options: LoadOptions,
  marks: PacerMarks,
): Promise<PacerResult> => {
  const [accountsFile, out] = [join(DIR, 'accounts'), join(DIR, 'pacer.out')];
  writeFileSync(accountsFile, accounts.map((file) => `${file}\n`).join(''));
  const times = [options.settleMs, options.warmUpMs, options.warmUpMs + options.windowMs, options.graceMs];
  const words = ['pacer', ...times.map(String), accountsFile, out, ...parts.map(({ file }) => file)];
  const child = spawn(options.program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'ready') freezePods(false);
    if (line === 'from') marks.onFrom();
    if (line === 'to') marks.onTo();
  }
  await ended;
  if (child.exitCode !== 0) throw failed('the pacer', child);
  return parsePacerResult(readFileSync(out, 'utf8'));
};

export interface RunLoad {
  parts: LoadPart[];
  paced: PacerResult;
}

/**
 * Runs the pods' load through one window. `accounts` are files that are read at its two ends. The programs still
 * run when this resolves; killPods() ends them.
 */
export const runLoad = async (
  pods: readonly NodePod[],
  accounts: readonly string[],
  options: LoadOptions,
  marks: PacerMarks,
): Promise<RunLoad> => {
  const parts = partsOf(pods);
  await launch(parts, options);
  try {
    return { parts, paced: await pace(parts, accounts, options, marks) };
  } finally {
    freezePods(false);
  }
};
