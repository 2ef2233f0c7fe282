// One kernel's suites in virtual machines: one, unless the emulator loses it; then what is left runs in the next.
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { fromJunit, type TestOutcome } from '../junit.ts';
import { runInVm, type VmResult } from './boot.ts';
import type { Kernel } from './kernels.ts';
import { diedOfEmulation } from './lost-guest.ts';
import { readFacts, runOutcomes } from './report.ts';

export const cpus = 2;
export const clock = 'wall';

export interface Job {
  /** Parts of names of suites; none: all. */
  readonly suites: readonly string[];
  readonly timeoutSeconds: number;
  /** Below test/vm. */
  readonly folder: 'suites' | 'soak' | 'image';
  readonly resultsDir: string;
}

export interface SuiteRun {
  /** Of the last machine. */
  readonly result: VmResult;
  readonly outcomes: readonly TestOutcome[];
  readonly facts: Readonly<Record<string, unknown>>;
  /** Of all machines. */
  readonly seconds: number;
}

/** Of the files and the folder that hold a run's results. */
export const resultName = (kernel: Kernel, { folder }: Job): string =>
  `${folder === 'image' ? 'image' : 'vm'}-${kernel.name}`;

/** Three lost ones in a row are more than chance. */
const MOST_GUESTS = 4;

/** Paths of the suites that match; each part of a name must match something. */
export function suiteFiles(folder: Job['folder'], parts: readonly string[]): string[] {
  const all = readdirSync(join(import.meta.dirname, folder))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test/vm', folder, name))
    .sort();
  for (const part of parts)
    if (!all.some((file) => file.includes(part)))
      throw new Error(`no suite in test/vm/${folder} is called ${part}`);
  return parts.length === 0 ? all : all.filter((file) => parts.some((part) => file.includes(part)));
}

export interface Guest extends SuiteRun {
  /** The emulator lost it: only the suites that have outcomes say something. */
  readonly lost: boolean;
}

/**
 * Runs the suites of `files` to their end. A lost guest keeps what had ended; the suite that it was running starts anew
 * in the next. `boot` may call no guest lost whose `last` is true.
 */
export async function untilWhole(
  files: readonly string[],
  boot: (files: readonly string[], last: boolean) => Promise<Guest>,
): Promise<SuiteRun> {
  let left = files;
  let run: SuiteRun | undefined;
  for (let guest = 1; ; guest += 1) {
    const { lost, ...here } = await boot(left, guest === MOST_GUESTS);
    run = {
      result: here.result,
      outcomes: [...(run?.outcomes ?? []), ...here.outcomes],
      facts: { ...run?.facts, ...here.facts },
      seconds: (run?.seconds ?? 0) + here.seconds,
    };
    left = left.filter((file) => !here.outcomes.some((outcome) => outcome.group === file));
    if (!lost || left.length === 0) return run;
  }
}

export async function runSuites(kernel: Kernel, job: Job, say: (line: string) => void): Promise<SuiteRun> {
  const outDir = join(job.resultsDir, resultName(kernel, job));
  const boot = async (files: readonly string[], last: boolean): Promise<Guest> => {
    const result = await bootOnce(kernel, job, { files, outDir, say });
    const lost = !last && diedOfEmulation(result);
    const junit = await readIfThere(join(outDir, 'junit.xml'));
    const facts = readFacts(await readIfThere(join(outDir, 'facts.json')));
    if (!lost) return { lost, result, outcomes: runOutcomes(result, junit), facts, seconds: result.seconds };
    const kept = `${outDir}-lost-${Date.now()}.log`;
    await rename(result.console, kept);
    say(
      `[${kernel.name}] the emulator lost the guest (Oops: int3 while the kernel patched itself; ${kept}): going on in another`,
    );
    return { lost, result, outcomes: fromJunit(junit ?? '') ?? [], facts, seconds: result.seconds };
  };
  return await untilWhole(suiteFiles(job.folder, job.suites), boot);
}

/** What the soak takes from its caller. */
const passedOn = ['SOAK_SECONDS', 'SOAK_CYCLES'];

async function bootOnce(
  kernel: Kernel,
  job: Job,
  { files, outDir, say }: { files: readonly string[]; outDir: string; say: (line: string) => void },
): Promise<VmResult> {
  await rm(outDir, { recursive: true, force: true });
  await mkdir(outDir, { recursive: true });
  say(`[${kernel.name}] booting ${kernel.abi} (${kernel.expectation})`);
  const vitest = ['run', '--configLoader', 'native', '--config', 'test/vm/vitest.vm.config.ts'];
  return await runInVm({
    kernel,
    command: ['node', 'node_modules/vitest/vitest.mjs', ...vitest, ...files],
    cpus,
    memoryMb: 2048,
    clock,
    // CI and NO_COLOR: plain lines instead of a redrawn screen.
    env: {
      SCX_SLO_VM_KERNEL_ABI: kernel.abi,
      SCX_SLO_VM_EXPECTATION: kernel.expectation,
      SCX_SLO_VM_FOLDER: job.folder,
      ...Object.fromEntries(
        passedOn.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
      ),
      CI: '1',
      NO_COLOR: '1',
    },
    timeoutSeconds: job.timeoutSeconds,
    outDir,
    onLine: (line) => {
      const plain = stripVTControlCharacters(line).trimEnd();
      if (plain !== '') say(`[${kernel.name}] ${plain}`);
    },
    onConsole: (line) => {
      if (line.startsWith('guest: ')) say(`[${kernel.name}] ${line}`);
    },
  });
}

async function readIfThere(file: string): Promise<string | undefined> {
  return existsSync(file) ? await readFile(file, 'utf8') : undefined;
}
