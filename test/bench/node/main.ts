/**
 * One boot of a scenario on the node itself: `node.mjs PROJECT-DIR OUT-DIR`, with the job in PROJECT-DIR/.bench-job.json
 * or JOB. Runs as root on a kernel with sched_ext. Leaves OUT-DIR/measured.json and logs.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { argv } from 'node:process';
import { hostSysfs } from '../../../agent/kernel/sysfs.ts';
import { readTopology } from '../../../agent/kernel/topology.ts';
import { exitAfter, readAhead, say } from '../../demo/guest-program.ts';
import { closeNodeCgroups, openNodeCgroups } from '../../demo/node-cgroups.ts';
import { stopHugePages } from '../../demo/quiet-kernel.ts';
import type { Job, MeasuredRun, MeasuredWindow } from '../measured.ts';
import { ALONE_AGAIN, type Scenario } from '../scenario.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import { WindowRunner } from './window-runner.ts';

const [, , project = '', out = ''] = argv;
const program = join(project, 'build/vm/bench/bench-load');
const dist = join(project, 'build/dist');
const logDir = join(out, 'logs');
const podsDir = '/run/scx-slo-bench/pods';
const cpus = availableParallelism();

/** A window that a step of rising load ends at. */
const isFull = (scenario: Scenario, window: MeasuredWindow): boolean => {
  const limit = scenario.stopAboveP99Ms;
  const service = window.services.find(({ pod }) => pod === scenario.primary);
  if (limit === undefined || service === undefined) return window.failure !== undefined;
  const sorted = service.latenciesMs.toSorted((a, b) => a - b);
  return (sorted[Math.ceil(0.99 * sorted.length) - 1] ?? 0) > limit;
};

const summaryOf = (window: MeasuredWindow): string => {
  if (window.failure !== undefined) return window.failure;
  const parts = window.services.slice(0, 3).map(({ pod, latenciesMs, backlog }) => {
    const sorted = latenciesMs.toSorted((a, b) => a - b);
    const p99 = sorted[Math.ceil(0.99 * sorted.length) - 1] ?? Number.NaN;
    return `${pod} p99 ${p99.toFixed(1)} ms${backlog > 20 ? `, ${backlog} behind` : ''}`;
  });
  return [window.scheduler, ...parts].join(', ');
};

const measureAll = async (scenario: Scenario, job: Job, nsPerTurn: number): Promise<MeasuredWindow[]> => {
  const runner = new WindowRunner(scenario, job, { project, program, podsDir, logDir, cpus, nsPerTurn, say });
  const windows: MeasuredWindow[] = [];
  for (const policy of job.order) {
    for (const one of scenario.cases) {
      if (policy === ALONE_AGAIN && one !== scenario.cases[0]) break;
      const window = await runner.window(policy, one);
      windows.push(window);
      say(`${policy}, ${one.name}: ${summaryOf(window)}`);
      if (scenario.stopAboveP99Ms !== undefined && isFull(scenario, window)) break;
    }
    await runner.close();
  }
  return windows;
};

const main = async (): Promise<void> => {
  mkdirSync(logDir, { recursive: true });
  const job: Job = JSON.parse(readFileSync(process.env.SCX_SLO_BENCH_JOB ?? '', 'utf8'));
  const scenario = SCENARIOS.find(({ name }) => name === job.scenario);
  if (scenario === undefined) throw new Error(`no scenario ${job.scenario}`);
  // The observer's object is not beside this bundle, where it would be looked for.
  process.env.SCX_SLO_BPF_DIR = join(project, 'build/bpf');
  openNodeCgroups(cpus);
  const restoreHugePages = stopHugePages();
  try {
    readAhead([dist], [program]);
    const nsPerTurn = Number(execFileSync(program, ['calibrate'], { encoding: 'utf8' })) / 1e6;
    const topology = readTopology(hostSysfs);
    say(`${cpus} CPUs, ${topology.llcCount} LLCs, ${nsPerTurn.toFixed(2)} ns a turn`);
    const windows = await measureAll(scenario, job, nsPerTurn);
    const measured: MeasuredRun = {
      scenario: scenario.name,
      run: job.run,
      kernel: release(),
      cpus,
      llcs: topology.llcCount,
      order: job.order,
      nsPerTurn,
      windows,
    };
    writeFileSync(join(out, 'measured.json'), JSON.stringify(measured));
  } finally {
    restoreHugePages();
    await closeNodeCgroups();
  }
};

await exitAfter(main);
