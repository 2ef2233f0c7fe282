// Boots a kernel in a virtual machine, runs one command inside, and brings its results out.
import { mkdtempSync, rmSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseAccelerator } from './accel.ts';
import { prepareAssets, runTool } from './assets.ts';
import { commandScript } from './guest-command.ts';
import type { Kernel } from './kernels.ts';
import type { Accelerator, Clock, VmNetwork } from './qemu.ts';
import { type EndedQemu, runQemu } from './qemu-process.ts';

export interface VmRun {
  readonly kernel: Kernel;
  /** Program and arguments; it runs as root in /work, the project's copy inside. */
  readonly command: readonly string[];
  readonly cpus: number;
  /** More of QEMU's -smp than the number, such as `sockets=2,cores=8`. */
  readonly topology?: string;
  readonly memoryMb: number;
  /** `virtual` needs one CPU: with more, one vCPU's instructions would age the others' clocks. */
  readonly clock: Clock;
  readonly env?: Readonly<Record<string, string>>;
  /** Files and folders of the host that are in /work/.vm inside, by the name that they have there. */
  readonly files?: Readonly<Record<string, string>>;
  readonly network?: VmNetwork;
  /** Boot and command together. */
  readonly timeoutSeconds: number;
  /** A line that the command printed. */
  readonly onLine: (line: string) => void;
  /** A line of the kernel's console. */
  readonly onConsole?: (line: string) => void;
  /** Filled with what the command left in /out, dmesg.txt, and console.log (kernel and command together). */
  readonly outDir: string;
}

export interface VmResult {
  /** The command's own; undefined when the machine ended without one. */
  readonly exitCode: number | undefined;
  /** Why there is no exit code: a panic, the time limit, QEMU itself. */
  readonly failure?: string;
  /** Path of the console log. */
  readonly console: string;
  /** The end of the console log, 60 lines at most. */
  readonly lastLines: readonly string[];
  readonly seconds: number;
  readonly accel: Accelerator;
  /** What `uname -r` says inside. The command has it too, as SCX_SLO_VM_RELEASE. */
  readonly release: string;
}

/** Throws when the machine cannot be prepared; what happens once it runs is in the result. */
export async function runInVm(run: VmRun): Promise<VmResult> {
  if (run.clock === 'virtual' && run.cpus !== 1)
    throw new Error('the virtual clock is sound with one CPU only');
  const assets = await prepareAssets(run.kernel);
  const accel = run.clock === 'virtual' ? 'tcg' : await chooseAccelerator(assets);
  return await withTemporaryDir(async (dir) => {
    const workImage = join(dir, 'work.img');
    const env = { ...run.env, SCX_SLO_VM_RELEASE: assets.release };
    await mkdir(join(dir, 'job'));
    await writeFile(join(dir, 'job', 'command'), commandScript(run.command, env));
    if (assets.kernelConfig !== undefined) await cp(assets.kernelConfig, join(dir, 'job', 'kernel-config'));
    for (const [name, path] of Object.entries(run.files ?? {})) {
      await cp(path, join(dir, 'job', name), { recursive: true, verbatimSymlinks: true });
    }
    await runTool(join(import.meta.dirname, 'work-disk.sh'), [workImage, join(dir, 'job')]);
    await mkdir(run.outDir, { recursive: true });

    const console = join(run.outDir, 'console.log');
    const started = performance.now();
    const ended = await runQemu({ ...run, assets, accel, workImage }, { ...run, logFile: console });
    const seconds = Math.round(performance.now() - started) / 1000;

    await runTool('/sbin/debugfs', ['-R', `rdump /out ${dir}`, workImage], 'quiet');
    const exitCode = await readExitCode(join(dir, 'out', 'exit-code'));
    await cp(join(dir, 'out'), run.outDir, { recursive: true });
    const failure = exitCode === undefined ? { failure: whyNoExitCode(ended, run.timeoutSeconds) } : {};
    return {
      exitCode,
      ...failure,
      console,
      lastLines: ended.lastLines,
      seconds,
      accel,
      release: assets.release,
    };
  });
}

async function withTemporaryDir<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'scx-slo-vm-'));
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    return await use(dir);
  } finally {
    process.removeListener('exit', remove);
    remove();
  }
}

async function readExitCode(file: string): Promise<number | undefined> {
  const written = await readFile(file, 'utf8').catch(() => '');
  return /^\d+\n$/.test(written) ? Number(written) : undefined;
}

function whyNoExitCode(ended: EndedQemu, timeoutSeconds: number): string {
  if (ended.panic !== undefined) return ended.panic;
  if (ended.timedOut) return `no end within ${timeoutSeconds} s`;
  return `the machine ended without an exit code (QEMU: ${ended.status})`;
}
