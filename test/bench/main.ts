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
import { type Choice, guestSeconds, jobsOf } from './jobs.ts';
import type { Job, MeasuredRun } from './measured.ts';
import { OVERLOAD_HTTP, runOverloadHttp } from './overload-http/main.ts';
import { gatherPeers } from './peers.ts';
import { pictureOf } from './pictures.ts';
import { reportMarkdown, terminalText } from './report.ts';
import { RESULT_FORMAT, resultOf, type ScenarioResult } from './result.ts';
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
  SCENARIOS="a b"   default all of those below
  POLICIES="a b"    default those of the scenario: alone eevdf eevdf-requests edf scx-slo, and peers
  RUNS=n            runs of each scenario (default its own: 3 on the virtual clock, 5 in wall time)
  PEERS="/path/b"   binaries of more sched_ext schedulers, beside those built by test/bench/peers.sh; PEERS=none: none
  KERNEL=name       of test/vm/kernels.ts (default ${defaultKernelName})
  VMS=n             virtual-clock machines at once (default 2)
  FRESH=1           measure again what has not changed
Results: build/bench/<scenario>.json and .svg, build/bench/report.md.
One scenario while the policy is changed:
  make bench SCENARIOS=noisy-neighbour POLICIES="alone scx-slo" RUNS=1
Scenarios:
${SCENARIOS.map(({ name, machine, title }) => `  ${name.padEnd(22)}${machine.clock}, ${machine.cpus} CPU: ${title}`).join('\n')}
  ${OVERLOAD_HTTP.name.padEnd(22)}virtual, 1 CPU: ${OVERLOAD_HTTP.title}`;

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

const SCENARIO_NAMES: readonly string[] = [...SCENARIOS.map(({ name }) => name), OVERLOAD_HTTP.name];

/** `http`: the scenario whose pods are services of their own, not the load programs. */
const chosenScenarios = (): { scenarios: Scenario[]; http: boolean } => {
  const names = words('SCENARIOS') ?? SCENARIO_NAMES;
  const unknown = names.find((name) => !SCENARIO_NAMES.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`no scenario ${unknown}; there are: ${SCENARIO_NAMES.join(' ')}`);
  const scenarios = names.flatMap((name) => SCENARIOS.filter((scenario) => scenario.name === name));
  return { scenarios, http: names.includes(OVERLOAD_HTTP.name) };
};

/** Runs `tasks`, at most `width` at once, in their order. */
const inParallel = async (tasks: readonly (() => Promise<void>)[], width: number): Promise<void> => {
  const left = tasks[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const task of left) await task();
  };
  await Promise.all(Array.from({ length: width }, worker));
};

const writeResult = (result: ScenarioResult, runs: readonly MeasuredRun[], scenario: Scenario): void => {
  writeFileSync(join(outDir, `${result.scenario}.json`), `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(join(outDir, `${result.scenario}.svg`), pictureOf(scenario, result, runs));
};

/** The report holds every scenario that has a result, also from earlier calls. */
const writeReport = (): void => {
  const results = SCENARIOS.flatMap(({ name }): ScenarioResult[] => {
    const file = join(outDir, `${name}.json`);
    if (!existsSync(file)) return [];
    const result: ScenarioResult = JSON.parse(readFileSync(file, 'utf8'));
    return result.format === RESULT_FORMAT ? [result] : [];
  });
  writeFileSync(join(outDir, 'report.md'), reportMarkdown(results));
};

interface Plan {
  scenario: Scenario;
  jobs: readonly Job[];
  outcomes: (MeasuredRun | Error)[];
}

const isComplete = ({ jobs, outcomes }: Plan): boolean =>
  jobs.length === outcomes.filter((outcome) => !(outcome instanceof Error)).length;

/** After its last job. */
const finish = ({ scenario, outcomes }: Plan): void => {
  const measured = outcomes.flatMap((outcome) => (outcome instanceof Error ? [] : [outcome]));
  const runs = measured.toSorted((a, b) => a.run - b.run);
  if (runs.length === 0) return;
  const result = resultOf(scenario, runs);
  writeResult(result, runs, scenario);
  writeReport();
  print(`\n${terminalText(result)}\n`);
};

const runPlans = async (plans: readonly Plan[], boot: BootOptions, width: number): Promise<void> => {
  const tasks = plans.flatMap((plan) =>
    plan.jobs.map((job) => async (): Promise<void> => {
      const outcome = await runJob(plan.scenario, job, boot).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
      if (outcome instanceof Error) say(`[${job.scenario} ${job.run + 1}] FAILED: ${outcome.message}`);
      plan.outcomes.push(outcome);
      if (plan.outcomes.length === plan.jobs.length) finish(plan);
    }),
  );
  await inParallel(tasks, width);
};

const totalMinutes = (plans: readonly Plan[]): number =>
  plans.reduce(
    (sum, { scenario, jobs }) => sum + jobs.reduce((part, job) => part + guestSeconds(scenario, job), 0),
    0,
  ) / 60;

const chosenKernel = (): Kernel => {
  const selected = selectKernels(process.env.KERNEL || defaultKernelName);
  if (!selected.ok) throw new UsageError(selected.error);
  const [kernel] = selected.kernels;
  if (kernel === undefined || selected.kernels.length > 1) throw new UsageError('KERNEL names one kernel');
  return kernel;
};

const overloadHttp = async (kernel: Kernel): Promise<boolean> => {
  const { name } = OVERLOAD_HTTP;
  try {
    const table = await runOverloadHttp({ kernel, outDir, say: (line) => say(`[${name}] ${line}`) });
    print(`\n${name}\n${table}\n`);
    return true;
  } catch (error) {
    say(`[${name}] FAILED: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
};

const bench = async (): Promise<number> => {
  const { scenarios, http } = chosenScenarios();
  const policies = words('POLICIES');
  const kernel = chosenKernel();
  const width = count('VMS', 2) ?? 2;
  const runs = count('RUNS', undefined);
  const needed = ['build/dist/agent.mjs', 'build/bpf/scheduler.bpf.o', 'build/vm/bench/bench-load'];
  const missing = needed.filter((file) => !existsSync(join(project, file)));
  if (missing.length > 0) throw new UsageError(`not built: ${missing.join(', ')}. Run it as \`make bench\`.`);
  mkdirSync(outDir, { recursive: true });
  await bundleNodeSide();
  const given = words('PEERS') ?? [];
  const gathered = gatherPeers({
    project,
    given: given.filter((word) => word !== 'none'),
    built: !given.includes('none'),
    wanted: policies,
  });
  const choice: Choice = { policies, runs, ...gathered };
  const assets = await prepareAssets(kernel);
  say(`Linux ${assets.release}; several CPUs run under ${await chooseAccelerator(assets)}`);
  const boot: BootOptions = { project, kernel, outDir, fresh: process.env.FRESH === '1', say };
  const plans = scenarios
    .map((scenario): Plan => ({ scenario, jobs: jobsOf(scenario, choice), outcomes: [] }))
    .filter(({ jobs }) => jobs.length > 0);
  const virtual = plans.filter(({ scenario }) => scenario.machine.clock === 'virtual');
  const wall = plans.filter(({ scenario }) => scenario.machine.clock === 'wall');
  for (const { scenario, jobs } of plans)
    say(`[${scenario.name}] ${jobs.length} runs: ${jobs[0]?.order.join(', ')}`);
  say(
    `${totalMinutes(virtual).toFixed(0)} min on the virtual clock, ${width} machines at once, and ${totalMinutes(wall).toFixed(0)} min of wall time at most; what is kept from before takes none`,
  );
  await runPlans(virtual, boot, width);
  // In wall time a second machine would be a noisy neighbour itself.
  await runPlans(wall, boot, 1);
  const httpDone = !http || (await overloadHttp(kernel));
  say('build/bench/report.md');
  return plans.every(isComplete) && httpDone ? 0 : 1;
};

try {
  if (process.argv.includes('--help')) print(usage);
  else process.exitCode = await bench();
} catch (error) {
  if (error instanceof UsageError) process.stderr.write(`error: ${error.message}\n${usage}\n`);
  else process.stderr.write(`error: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 2;
}
