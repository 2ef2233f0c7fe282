/** Runs jobs in virtual machines, keeps what they measured, and takes it up again when nothing has changed. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInVm, type VmResult } from '../vm/boot.ts';
import type { Kernel } from '../vm/kernels.ts';
import { diedOfEmulation } from '../vm/lost-guest.ts';
import { BUNDLE } from './bundle.ts';
import { guestSeconds } from './jobs.ts';
import type { Job, MeasuredRun } from './measured.ts';
import type { Scenario } from './scenario.ts';

export interface BootOptions {
  project: string;
  kernel: Kernel;
  /** Where results go: build/bench. */
  outDir: string;
  /** Never take up an old result. */
  fresh: boolean;
  say: (text: string) => void;
}

const JOBS_DIR = 'build/vm/bench/jobs';

const filesBelow = (dir: string): string[] =>
  existsSync(dir)
    ? readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
    : [];

const addFile = (hash: ReturnType<typeof createHash>, file: string): void => {
  if (existsSync(file)) hash.update(file).update(readFileSync(file));
};

/** Names everything that a job's result depends on. */
export const jobKey = (scenario: Scenario, job: Job, { project, kernel }: BootOptions): string => {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([scenario, job, kernel]));
  const own = [BUNDLE, 'build/vm/bench/bench-load', 'build/bpf/observer.bpf.o'];
  const ours = job.order.includes('scx-slo') ? ['build/dist/agent.mjs', 'build/bpf/scheduler.bpf.o'] : [];
  for (const file of [...own, ...ours]) addFile(hash, join(project, file));
  for (const { program } of Object.values(job.peers)) addFile(hash, join(project, program));
  if (job.edfObjects !== undefined) {
    for (const file of filesBelow(join(project, job.edfObjects))) addFile(hash, file);
  }
  return hash.digest('hex').slice(0, 16);
};

interface Kept {
  key: string;
  measured: MeasuredRun;
}

const keptFile = (options: BootOptions, job: Job): string =>
  join(options.outDir, 'runs', `${job.scenario}-${job.run}.json`);

const keptResult = (options: BootOptions, job: Job, key: string): MeasuredRun | undefined => {
  const file = keptFile(options, job);
  if (options.fresh || !existsSync(file)) return undefined;
  const kept: Kept = JSON.parse(readFileSync(file, 'utf8'));
  return kept.key === key ? kept.measured : undefined;
};

/** A busy host and emulation make a guest's second take several. */
const HOST_SECONDS_PER_GUEST_SECOND = 8;
const BOOT_SECONDS = 120;
/** Boots of one job when the emulator loses its guest; more CPUs, more often. */
const TRIES = 3;

/** The result of one boot. Throws when the machine or the node side failed. */
export const runJob = async (scenario: Scenario, job: Job, options: BootOptions): Promise<MeasuredRun> => {
  const key = jobKey(scenario, job, options);
  const kept = keptResult(options, job, key);
  const label = `${job.scenario} ${job.run + 1}`;
  if (kept !== undefined) {
    options.say(`[${label}] kept from before: nothing that it depends on has changed`);
    return kept;
  }
  const { machine } = scenario;
  const jobFile = join(JOBS_DIR, `${job.scenario}-${job.run}.json`);
  mkdirSync(join(options.project, JOBS_DIR), { recursive: true });
  writeFileSync(join(options.project, jobFile), JSON.stringify(job));
  const vmDir = join(options.outDir, 'vm', `${job.scenario}-${job.run}`);
  rmSync(vmDir, { recursive: true, force: true });
  const boot = (): Promise<VmResult> =>
    runInVm({
      kernel: options.kernel,
      command: ['node', `/work/${BUNDLE}`, '/work', '/out'],
      cpus: machine.cpus,
      ...(machine.topology === undefined ? {} : { topology: machine.topology }),
      memoryMb: machine.memoryMb,
      clock: machine.clock,
      env: { SCX_SLO_BENCH_JOB: `/work/${jobFile}` },
      timeoutSeconds: BOOT_SECONDS + HOST_SECONDS_PER_GUEST_SECOND * guestSeconds(scenario, job),
      onLine: (line) => options.say(`[${label}] ${line}`),
      outDir: vmDir,
    });
  let result = await boot();
  for (let tries = 1; diedOfEmulation(result) && tries < TRIES; tries += 1) {
    options.say(
      `[${label}] the emulator lost the guest (Oops: int3 while the kernel patched itself): running again`,
    );
    result = await boot();
  }
  const failed = result.failure ?? (result.exitCode === 0 ? undefined : `ended with ${result.exitCode}`);
  if (failed !== undefined) throw new Error(`${failed}; console: ${result.console}`);
  const measured: MeasuredRun = JSON.parse(readFileSync(join(vmDir, 'measured.json'), 'utf8'));
  mkdirSync(join(options.outDir, 'runs'), { recursive: true });
  // A failure may be this machine's bad day, and is worth another try.
  if (measured.windows.every((window) => window.failure === undefined || window.policy in job.peers)) {
    writeFileSync(keptFile(options, job), JSON.stringify({ key, measured } satisfies Kept));
  }
  options.say(`[${label}] done in ${result.seconds.toFixed(0)} s`);
  return measured;
};
