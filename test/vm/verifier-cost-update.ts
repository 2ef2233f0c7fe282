// node test/vm/verifier-cost-update.ts --kernels "6.19 7.3"|all : boots each kernel, measures what its verifier has to do
// for each BPF program, and writes that over the kernel's figures in docs/perf/verifier-cost.json.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runInVm } from './boot.ts';
import { defaultKernelName, type Kernel, selectKernels } from './kernels.ts';
import { abiOfRelease, type CommittedCosts, growthOf, type VerifierCosts } from './verifier-growth.ts';

const file = 'docs/perf/verifier-cost.json';
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function measure(kernel: Kernel): Promise<{ abi: string; costs: VerifierCosts }> {
  const outDir = join('build/verifier-cost', kernel.name);
  const result = await runInVm({
    kernel,
    command: ['node', 'test/vm/verifier-cost.ts', '/out/verifier-cost.json'],
    cpus: 2,
    memoryMb: 2048,
    clock: 'wall',
    timeoutSeconds: 300,
    outDir,
    onLine: say,
  });
  if (result.exitCode !== 0)
    throw new Error(`${kernel.name}: ${result.failure ?? 'the objects do not load'}; log: ${result.console}`);
  return {
    abi: abiOfRelease(result.release),
    costs: JSON.parse(readFileSync(join(outDir, 'verifier-cost.json'), 'utf8')),
  };
}

/** Sorted, so that a change of a figure is a change of its lines only. */
const text = (all: CommittedCosts): string => {
  const sorted = <T>(record: Readonly<Record<string, T>>) =>
    Object.fromEntries(
      Object.entries(record).sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })),
    );
  const kernels = Object.entries(sorted(all)).map(([abi, costs]) => {
    const programs = Object.entries(sorted(costs)).map(
      ([name, { insns, states, peakStates, stackDepth }]) =>
        `    ${JSON.stringify(name)}: { "insns": ${insns}, "states": ${states}, "peakStates": ${peakStates}, "stackDepth": ${stackDepth} }`,
    );
    return `  ${JSON.stringify(abi)}: {\n${programs.join(',\n')}\n  }`;
  });
  return `{\n${kernels.join(',\n')}\n}\n`;
};

const { values } = parseArgs({ options: { kernels: { type: 'string', default: defaultKernelName } } });
const selected = selectKernels(values.kernels);
if (!selected.ok) {
  process.stderr.write(`error: ${selected.error}\n`);
  process.exit(2);
}
for (const kernel of selected.kernels) {
  say(`[${kernel.name}] measuring`);
  const { abi, costs } = await measure(kernel);
  const committed: CommittedCosts = JSON.parse(readFileSync(file, 'utf8'));
  for (const complaint of growthOf(committed[abi] ?? {}, costs)) say(`[${kernel.name}] ${complaint}`);
  writeFileSync(file, text({ ...committed, [abi]: costs }));
}
say(`written: ${file}`);
