// One cgroup of the guest and what runs in it.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { eventually } from './agent-process.ts';

export const CGROUP_ROOT = '/sys/fs/cgroup';
const SPIN = 'while :; do :; done';

export class GuestCgroup {
  /** From the hierarchy's root. */
  readonly path: string;
  readonly dir: string;

  /** Makes the directory, and those above it with the CPU and cpuset controllers on. */
  constructor(path: string) {
    this.path = path;
    this.dir = `${CGROUP_ROOT}${path}`;
    makeParents(path);
    mkdirSync(this.dir, { recursive: true });
  }

  get id(): string {
    return String(statSync(this.dir).ino);
  }

  read(file: string): string {
    return readFileSync(join(this.dir, file), 'utf8').trim();
  }

  write(file: string, value: string | number): void {
    writeFileSync(join(this.dir, file), `${value}`);
  }

  /** CPU time of the cgroup and all below it since it was made. */
  usageUs(): number {
    return Number(/^usage_usec (\d+)/m.exec(this.read('cpu.stat'))?.[1]);
  }

  pids(): number[] {
    return this.read('cgroup.procs').split('\n').filter(Boolean).map(Number);
  }

  /** Starts a shell script in the cgroup; `prefix` wraps its shell, for example `taskset -c 0`. */
  run(script: string, prefix: readonly string[] = []): ChildProcess {
    const [program = 'sh', ...args] = [...prefix, 'sh', '-c', `echo 0 > ${this.dir}/cgroup.procs; ${script}`];
    return spawn(program, args, { stdio: 'ignore' });
  }

  /**
   * Starts `count` endless loops, all children of one shell: cheap, however many they are. They wait for each other
   * at a FIFO, which lets its readers in once it is open for writing: else the first would be in the way of the rest.
   */
  spin(count: number, prefix: readonly string[] = []): ChildProcess {
    if (count === 1) return this.run(SPIN, prefix);
    const children = `i=1; while [ $i -lt ${count} ]; do (: <$gate; ${SPIN}) & i=$((i+1)); done`;
    return this.run(`gate=$(mktemp -u); mkfifo $gate; ${children}; exec 9<>$gate; ${SPIN}`, prefix);
  }

  /** Ends everything in it and below. */
  kill(): void {
    this.write('cgroup.kill', 1);
  }

  /** Kills, waits until it is empty, and removes it with all below. */
  async remove(): Promise<void> {
    this.kill();
    await eventually(`${this.path} is removed`, () => {
      try {
        removeTree(this.dir);
        return true;
      } catch {
        return undefined;
      }
    });
  }
}

const makeParents = (path: string): void => {
  const parent = dirname(path);
  if (parent !== '/') {
    makeParents(parent);
    mkdirSync(`${CGROUP_ROOT}${parent}`, { recursive: true });
  }
  const control = join(CGROUP_ROOT, parent, 'cgroup.subtree_control');
  // a write waits until removed cgroups are gone for good, even when it changes nothing
  const enabled = readFileSync(control, 'utf8').split(/\s+/);
  if (!['cpu', 'cpuset'].every((controller) => enabled.includes(controller)))
    writeFileSync(control, '+cpu +cpuset');
};

const removeTree = (dir: string): void => {
  for (const entry of readdirSync(dir, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(dir, entry.name));
  rmdirSync(dir);
};

/** CPUs that each of `cgroups` used on average over the next `ms`. */
export const cpusUsed = async (cgroups: readonly GuestCgroup[], ms: number): Promise<number[]> => {
  const sample = () => ({ at: performance.now(), used: cgroups.map((cgroup) => cgroup.usageUs()) });
  const before = sample();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const after = sample();
  return after.used.map((us, i) => (us - (before.used[i] ?? 0)) / 1000 / (after.at - before.at));
};

/** What each of `cgroups` got of what all of them used over the next `ms`; the sum is 1. */
export const sharesOf = async (cgroups: readonly GuestCgroup[], ms: number): Promise<number[]> => {
  const cpus = await cpusUsed(cgroups, ms);
  const all = cpus.reduce((sum, one) => sum + one, 0);
  return cpus.map((one) => one / all);
};
