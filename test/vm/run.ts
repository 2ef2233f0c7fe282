// node test/vm/run.ts [--kernels "6.16 7.3"|all] [-- SUITE...] : runs the suites of test/vm/suites on each kernel, in a
// virtual machine of its own, and writes build/test/vm-<kernel>.{xml,json} and the console's log beside them.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import type { TestOutcome } from '../junit.ts';
import { runInVm, type VmResult } from './boot.ts';
import { defaultKernelName, type Kernel, selectKernels } from './kernels.ts';
import { junitOf, runOutcomes, type VmReport, vmReport } from './report.ts';

const resultsDir = 'build/test';
const cpus = 2;
const clock = 'wall';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      kernels: { type: 'string', default: defaultKernelName },
      timeout: { type: 'string', default: '1200' },
    },
  });
  const selected = selectKernels(values.kernels);
  if (!selected.ok) throw new Error(selected.error);
  const timeoutSeconds = Number(values.timeout);
  if (!(timeoutSeconds > 0)) throw new Error(`--timeout takes seconds, not ${values.timeout}`);
  return { kernels: selected.kernels, suites: positionals, timeoutSeconds };
}

/**
 * QEMU's emulation with a thread per CPU can run a breakpoint that the guest's kernel put into its own code while
 * patching it and has already taken out again; the guest then dies of `Oops: int3`. Seen once in some ten runs, in
 * __schedule, when a static key of the scheduler is switched. No real CPU does that: such a run says nothing.
 */
const diedOfEmulation = (result: VmResult): boolean =>
  result.accel === 'tcg' &&
  result.exitCode === undefined &&
  readFileSync(result.console, 'utf8').includes('Oops: int3');

async function bootAndRun(
  kernel: Kernel,
  suites: readonly string[],
  timeoutSeconds: number,
): Promise<VmResult> {
  const result = await bootOnce(kernel, suites, timeoutSeconds);
  if (!diedOfEmulation(result)) return result;
  say(
    `[${kernel.name}] the emulator lost the guest (Oops: int3 while the kernel patched itself): running again, once`,
  );
  await rename(result.console, join(resultsDir, `vm-${kernel.name}-lost-console.log`));
  return await bootOnce(kernel, suites, timeoutSeconds);
}

/** Faults and churn do not depend on the kernel's release, and take minutes: the default kernel's part. */
const suitesFor = (kernel: Kernel, asked: readonly string[]): readonly string[] =>
  asked.length > 0 || kernel.name === defaultKernelName ? asked : ['00-', '05-', '06-', '10-'];

const outDirOf = (kernel: Kernel): string => join(resultsDir, `vm-${kernel.name}`);

async function bootOnce(
  kernel: Kernel,
  suites: readonly string[],
  timeoutSeconds: number,
): Promise<VmResult> {
  const outDir = outDirOf(kernel);
  await rm(outDir, { recursive: true, force: true });
  await mkdir(outDir, { recursive: true });
  say(`[${kernel.name}] booting ${kernel.abi} (${kernel.expectation})`);
  const vitest = ['run', '--configLoader', 'native', '--config', 'test/vm/vitest.vm.config.ts'];
  return await runInVm({
    kernel,
    command: ['node', 'node_modules/vitest/vitest.mjs', ...vitest, ...suitesFor(kernel, suites)],
    cpus,
    memoryMb: 2048,
    clock,
    // CI and NO_COLOR: plain lines instead of a redrawn screen.
    env: {
      SCX_SLO_VM_KERNEL_ABI: kernel.abi,
      SCX_SLO_VM_EXPECTATION: kernel.expectation,
      CI: '1',
      NO_COLOR: '1',
    },
    timeoutSeconds,
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

async function runKernel(
  kernel: Kernel,
  suites: readonly string[],
  timeoutSeconds: number,
): Promise<VmReport> {
  const outDir = outDirOf(kernel);
  const result = await bootAndRun(kernel, suites, timeoutSeconds);
  const outcomes = runOutcomes(result, await readIfThere(join(outDir, 'junit.xml')));
  const report = vmReport(
    { kernel, clock, cpus },
    result,
    outcomes,
    await readIfThere(join(outDir, 'facts.json')),
  );
  await writeFile(join(resultsDir, `vm-${kernel.name}.xml`), junitOf(kernel, outcomes));
  await writeFile(join(resultsDir, `vm-${kernel.name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  if (report.failed > 0) explain(kernel, outcomes, result.lastLines, result.console);
  say(
    `[${kernel.name}] ${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped ` +
      `(${result.accel}, ${clock} clock, ${result.seconds} s)`,
  );
  return report;
}

function explain(
  kernel: Kernel,
  outcomes: readonly TestOutcome[],
  lastLines: readonly string[],
  log: string,
): void {
  say(`[${kernel.name}] the console's last lines:`);
  for (const line of lastLines) say(`    ${line}`);
  for (const outcome of outcomes.filter((one) => one.state === 'failed')) {
    say(`[${kernel.name}] failed: ${outcome.group}: ${outcome.name}`);
    for (const line of outcome.detail.split('\n').slice(0, 12)) say(`    ${line}`);
  }
  say(`[${kernel.name}] whole log: ${log}`);
}

async function readIfThere(file: string): Promise<string | undefined> {
  return existsSync(file) ? await readFile(file, 'utf8') : undefined;
}

async function main(): Promise<number> {
  const { kernels, suites, timeoutSeconds } = readArguments();
  const broken: string[] = [];
  for (const kernel of kernels) {
    const report = await runKernel(kernel, suites, timeoutSeconds);
    if (report.failed > 0 || report.passed === 0) broken.push(kernel.name);
  }
  say(broken.length === 0 ? `kernels: ${kernels.length} ok` : `kernels: failed on ${broken.join(', ')}`);
  return broken.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
