/**
 * `make bench`: scenarios, every policy side by side, in virtual machines. Writes build/bench/<scenario>.json and .svg
 * and build/bench/report.md. Exit code: 0 measured, whatever the targets say; 1 a scenario did not run; 2 bad usage.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chooseAccelerator } from '../vm/accel.ts';
import { prepareAssets } from '../vm/assets.ts';
import { defaultKernelName, type Kernel, selectKernels } from '../vm/kernels.ts';
import { type BootOptions, runJob } from './boots.ts';
import { bundleNodeSide } from './bundle.ts';
import { type Choice, jobsOf } from './jobs.ts';
import type { Job, MeasuredRun } from './measured.ts';
import { gatherPeers } from './peers.ts';
import { pictureOf } from './pictures.ts';
import { reportMarkdown, terminalText } from './report.ts';
import { resultOf, type ScenarioResult } from './result.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const project = join(import.meta.dirname, '../..');
const outDir = join(project, 'build/bench');
const startedMs = performance.now();

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const say = (text: string): void =>
  print(`${((performance.now() - startedMs) / 60_000).toFixed(1).padStart(5)} min ${text}`);

class UsageError extends Error {}

const usage = `make bench [NAME=value ...]
  SCENARIOS="a b"   default all: ${SCENARIOS.map(({ name }) => name).join(' ')}
  POLICIES="a b"    default those of the scenario: alone eevdf eevdf-requests edf scx-slo, and peers
  RUNS=n            runs of each scenario (default its own: 3 on the virtual clock, 5 in wall time)
  PEERS="/path/b"   binaries of more sched_ext schedulers, beside those built by test/bench/peers.sh; PEERS=none: none
  KERNEL=name       of test/vm/kernels.ts (default ${defaultKernelName})
  VMS=n             virtual-clock machines at once (default 2)
  FRESH=1           measure again what has not changed
Results: build/bench/<scenario>.json and .svg, build/bench/report.md.
One scenario while the policy is changed:
  make bench SCENARIOS=noisy-neighbour POLICIES="alone scx-slo" RUNS=1`;

const words = (name: string): string[] | undefined => {
  const list = (process.env[name] ?? '').split(/[\s,]+/).filter((word) => word !== '');
  return list.length === 0 ? undefined : list;
};

const count = (name: string, preset: number | undefined): number | undefined => {
  const text = process.env[name];
  if (text === undefined || text === '') return preset;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`${name} takes a whole number, not ${text}`);
  return value;
};

const chosenScenarios = (): Scenario[] => {
  const names = words('SCENARIOS');
  if (names === undefined) return [...SCENARIOS];
  return names.map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name);
    if (found === undefined)
      throw new UsageError(`no scenario ${name}; there are: ${SCENARIOS.map((one) => one.name).join(' ')}`);
    return found;
  });
};

/** Runs `tasks`, at most `width` at once, and keeps their order. A failure is a value. */
const inParallel = async <T>(tasks: readonly (() => Promise<T>)[], width: number): Promise<(T | Error)[]> => {
  const results: (T | Error)[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < tasks.length; index = next++) {
      const task = tasks[index];
      if (task === undefined) return;
      results[index] = await task().catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
};

const writeResult = (result: ScenarioResult, runs: readonly MeasuredRun[], scenario: Scenario): void => {
  writeFileSync(join(outDir, `${result.scenario}.json`), `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(join(outDir, `${result.scenario}.svg`), pictureOf(scenario, result, runs));
};

/** The report holds every scenario that has a result, also from earlier calls. */
const writeReport = (): void => {
  const results = SCENARIOS.flatMap(({ name }): ScenarioResult[] => {
    const file = join(outDir, `${name}.json`);
    return existsSync(file) ? [JSON.parse(readFileSync(file, 'utf8'))] : [];
  });
  writeFileSync(join(outDir, 'report.md'), reportMarkdown(results));
};

const runScenario = async (
  scenario: Scenario,
  jobs: readonly Job[],
  boot: BootOptions,
  width: number,
): Promise<boolean> => {
  const outcomes = await inParallel(
    jobs.map((job) => () => runJob(scenario, job, boot)),
    scenario.machine.clock === 'virtual' ? width : 1,
  );
  const runs = outcomes.filter((outcome): outcome is MeasuredRun => !(outcome instanceof Error));
  for (const outcome of outcomes)
    if (outcome instanceof Error) say(`[${scenario.name}] FAILED: ${outcome.message}`);
  if (runs.length === 0) return false;
  const result = resultOf(scenario, runs);
  writeResult(result, runs, scenario);
  writeReport();
  print(`\n${terminalText(result)}\n`);
  return runs.length === jobs.length;
};

const chosenKernel = (): Kernel => {
  const selected = selectKernels(process.env.KERNEL || defaultKernelName);
  if (!selected.ok) throw new UsageError(selected.error);
  const [kernel] = selected.kernels;
  if (kernel === undefined || selected.kernels.length > 1) throw new UsageError('KERNEL names one kernel');
  return kernel;
};

const bench = async (): Promise<number> => {
  const scenarios = chosenScenarios();
  const policies = words('POLICIES');
  const kernel = chosenKernel();
  const width = count('VMS', 2) ?? 2;
  const runs = count('RUNS', undefined);
  const needed = ['build/dist/agent.mjs', 'build/bpf/scheduler.bpf.o', 'build/vm/bench/bench-load'];
  const missing = needed.filter((file) => !existsSync(join(project, file)));
  if (missing.length > 0) throw new UsageError(`not built: ${missing.join(', ')}. Run it as \`make bench\`.`);
  mkdirSync(outDir, { recursive: true });
  await bundleNodeSide(project);
  const given = words('PEERS') ?? [];
  const gathered = gatherPeers({
    project,
    given: given.filter((word) => word !== 'none'),
    built: !given.includes('none'),
    wanted: policies,
  });
  const choice: Choice = { policies, runs, ...gathered };
  const assets = await prepareAssets(kernel);
  say(`Linux ${assets.release}; several CPUs run under ${await chooseAccelerator(assets.vmlinuz)}`);
  const boot: BootOptions = { project, kernel, outDir, fresh: process.env.FRESH === '1', say };
  let complete = true;
  for (const scenario of scenarios) {
    const jobs = jobsOf(scenario, choice);
    if (jobs.length === 0) continue;
    say(`[${scenario.name}] ${scenario.title}: ${jobs[0]?.order.join(', ')}, ${jobs.length} runs`);
    complete = (await runScenario(scenario, jobs, boot, width)) && complete;
  }
  say('build/bench/report.md');
  return complete ? 0 : 1;
};

try {
  if (process.argv.includes('--help')) print(usage);
  else process.exitCode = await bench();
} catch (error) {
  if (error instanceof UsageError) process.stderr.write(`error: ${error.message}\n${usage}\n`);
  else process.stderr.write(`error: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 2;
}
