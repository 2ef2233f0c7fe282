// node test/vm/run.ts [--kernels "6.16 7.3"|all] [--soak] [-- SUITE...] : runs the suites of test/vm/suites on each kernel,
// in a virtual machine of its own, and writes build/test/vm-<kernel>.{xml,json} and the console's log beside them.
// --soak: those of test/vm/soak instead, with results in build/soak; each load lasts SOAK_SECONDS.
// --image: those of test/vm/image, for the container image; test/vm/image/prepare.sh comes before.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { TestOutcome } from '../junit.ts';
import { defaultKernelName, type Kernel, kernels, selectKernels } from './kernels.ts';
import { junitOf, type VmReport, vmReport } from './report.ts';
import { clock, cpus, type Job, resultName, runSuites } from './suite-run.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function readArguments(): { readonly kernels: readonly Kernel[]; readonly job: Job } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      kernels: { type: 'string', default: defaultKernelName },
      timeout: { type: 'string' },
      soak: { type: 'boolean', default: false },
      image: { type: 'boolean', default: false },
    },
  });
  const selected = selectKernels(values.kernels);
  if (!selected.ok) throw new Error(selected.error);
  const timeoutSeconds = Number(values.timeout ?? (values.soak ? 7200 : 1200));
  if (!(timeoutSeconds > 0)) throw new Error(`--timeout takes seconds, not ${values.timeout}`);
  const folder = values.soak ? 'soak' : values.image ? 'image' : 'suites';
  const place = { folder, resultsDir: values.soak ? 'build/soak' : 'build/test' } as const;
  return { kernels: selected.kernels, job: { suites: positionals, timeoutSeconds, ...place } };
}

const onEveryKernel = ['00-', '05-', '10-'];
/** Where there are figures to compare with; a suite without a test would be a failure. */
const verifierCost = (kernel: Kernel): string[] =>
  kernel.abi in JSON.parse(readFileSync('docs/perf/verifier-cost.json', 'utf8')) ? ['06-'] : [];
/** The oldest kernel has none of the later kernels' hints about weights and limits. */
const onOldestKernel = [...onEveryKernel, '50-', '60-'];

/** Faults and churn do not depend on the kernel's release, and take minutes: the default kernel's part. */
const suitesFor = (kernel: Kernel, { suites, folder }: Job): readonly string[] => {
  if (suites.length > 0 || kernel.name === defaultKernelName || folder !== 'suites') return suites;
  const always = kernel.name === kernels[0]?.name ? onOldestKernel : onEveryKernel;
  return [...always, ...verifierCost(kernel)];
};

async function runKernel(kernel: Kernel, job: Job): Promise<VmReport> {
  const run = await runSuites(kernel, { ...job, suites: suitesFor(kernel, job) }, say);
  const { result, outcomes } = run;
  const report = vmReport({ kernel, clock, cpus }, run);
  const name = resultName(kernel, job);
  await writeFile(join(job.resultsDir, `${name}.xml`), junitOf(kernel, outcomes));
  await writeFile(join(job.resultsDir, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  if (report.failed > 0) explain(kernel, outcomes, result.lastLines, result.console);
  say(
    `[${kernel.name}] ${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped ` +
      `(${result.accel}, ${clock} clock, ${run.seconds} s)`,
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

async function main(): Promise<number> {
  const { kernels, job } = readArguments();
  const broken: string[] = [];
  for (const kernel of kernels) {
    const report = await runKernel(kernel, job);
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
