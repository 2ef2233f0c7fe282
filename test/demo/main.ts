/**
 * `make demo`: the whole product at work on a real kernel, in a virtual machine or (HOST=1) on this machine.
 * Writes build/demo/result.json and latency.svg. `--readme` prints the README's table from the last result.
 * Exit code: 0 every target met in a valid run, 1 a target missed or an invalid run, 2 the demo did not work.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { BUNDLE_OPTIONS } from '../../bundle-options.ts';
import { chooseAccelerator } from '../vm/accel.ts';
import { prepareAssets } from '../vm/assets.ts';
import { runInVm } from '../vm/boot.ts';
import { defaultKernelName, selectKernels } from '../vm/kernels.ts';
import { judge } from './judge.ts';
import { checksText, isMet, isValid, markdown, picture, table, verdict } from './report.ts';
import type { DemoResult, Measured } from './result.ts';

const project = join(import.meta.dirname, '../..');
const outDir = join(project, 'build/demo');
const resultFile = join(outDir, 'result.json');

const print = (text: string): void => void process.stdout.write(`${text}\n`);

class DemoFailure extends Error {}

const bundle = async (): Promise<void> => {
  await build({
    ...BUNDLE_OPTIONS,
    entryPoints: {
      batch: 'test/demo/batch.ts',
      inside: 'test/demo/inside.ts',
      load: 'test/bench/load.ts',
      service: 'test/bench/service.ts',
    },
    outdir: 'build/vm/demo',
    logLevel: 'warning',
  });
};

/** Built by `make build`, which `make demo` runs first. */
const needBuilt = (): void => {
  const parts = [
    'build/dist/agent.mjs',
    'build/dist/webhook.mjs',
    'build/bpf/scheduler.bpf.o',
    'build/bpf/observer.bpf.o',
  ];
  const missing = parts.filter((part) => !existsSync(join(project, part)));
  if (missing.length > 0) throw new DemoFailure(`not built: ${missing.join(', ')}. Run \`make build\`.`);
};

const inVm = async (): Promise<DemoResult['clock']> => {
  const selected = selectKernels(process.env.KERNEL ?? defaultKernelName);
  const kernel = selected.ok ? selected.kernels[0] : undefined;
  if (kernel === undefined) throw new DemoFailure(selected.ok ? 'no kernel' : selected.error);
  const assets = await prepareAssets(kernel);
  const clock = (await chooseAccelerator(assets)) === 'kvm' ? 'wall' : 'virtual';
  print(
    clock === 'wall'
      ? 'KVM runs here: 2 vCPUs, wall time'
      : 'no KVM here: one emulated CPU whose clock counts instructions; seconds below are its own, yours are about twice as many',
  );
  const result = await runInVm({
    kernel,
    command: ['node', '/work/build/vm/demo/inside.mjs', '/work', '/out'],
    cpus: clock === 'wall' ? 2 : 1,
    memoryMb: 3072,
    clock,
    timeoutSeconds: 900,
    onLine: print,
    outDir,
  });
  if (result.failure !== undefined) throw new DemoFailure(`${result.failure}; console: ${result.console}`);
  if (result.exitCode !== 0)
    throw new DemoFailure(`the run ended with ${result.exitCode}; logs: ${outDir}/logs`);
  return clock;
};

/** Before anything of the last run is removed. */
const needHost = (): void => {
  if (!existsSync('/sys/kernel/sched_ext/state')) {
    throw new DemoFailure(
      'HOST=1: this kernel has no sched_ext (/sys/kernel/sched_ext is missing). Run `make demo` without HOST=1.',
    );
  }
  if (process.getuid?.() !== 0)
    throw new DemoFailure('HOST=1 needs root: it makes cgroups and network namespaces.');
  if (!existsSync('/sys/fs/cgroup/cgroup.controllers'))
    throw new DemoFailure('HOST=1 needs cgroup v2 at /sys/fs/cgroup.');
};

const onHost = async (): Promise<DemoResult['clock']> => {
  const child = spawn(process.execPath, [join(project, 'build/vm/demo/inside.mjs'), project, outDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) print(line);
  const code = await ended;
  if (code !== 0) throw new DemoFailure(`the run ended with ${code}; logs: ${outDir}/logs`);
  return 'wall';
};

const demo = async (): Promise<number> => {
  const started = performance.now();
  const host = process.env.HOST === '1';
  if (host) needHost();
  needBuilt();
  await bundle();
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  const clock = host ? await onHost() : await inVm();
  const measured: Measured = JSON.parse(readFileSync(join(outDir, 'measured.json'), 'utf8'));
  const result = judge(measured, host ? 'host' : 'vm', clock);
  writeFileSync(resultFile, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(join(outDir, 'latency.svg'), picture(measured, result));
  print(`\n${table(result)}\n\n${checksText(result)}\n\n${verdict(result)}\n`);
  print(
    `build/demo/result.json, build/demo/latency.svg; ${((performance.now() - started) / 1000).toFixed(0)} s in all`,
  );
  return isValid(result) && isMet(result) ? 0 : 1;
};

const readme = (): number => {
  if (!existsSync(resultFile)) throw new DemoFailure('no build/demo/result.json. Run `make demo` first.');
  const result: DemoResult = JSON.parse(readFileSync(resultFile, 'utf8'));
  print(markdown(result));
  return 0;
};

try {
  process.exitCode = process.argv.includes('--readme') ? readme() : await demo();
} catch (error) {
  const text =
    error instanceof DemoFailure ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`error: the demo did not work: ${text}\n`);
  process.exitCode = 2;
}
