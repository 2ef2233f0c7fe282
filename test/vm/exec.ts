// Runs one command in a virtual machine: node test/vm/exec.ts [options] -- COMMAND [ARG...]
import { parseArgs } from 'node:util';
import { runInVm } from './boot.ts';
import { defaultKernelName, selectKernels } from './kernels.ts';

const usage = `usage: node test/vm/exec.ts [options] -- COMMAND [ARG...]
  --kernel NAME    one of test/vm/kernels.ts (default ${defaultKernelName})
  --cpus N         default 2
  --memory MB      default 2048
  --clock wall|virtual   virtual: instructions are time; one CPU
  --env NAME=VALUE repeatable
  --out DIR        where /out goes (default build/vm-out)
  --timeout SECONDS      default 300
  --console        print the kernel's console too
`;

const printError = (line: string): void => void process.stderr.write(`${line}\n`);
const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function parse() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      kernel: { type: 'string', default: defaultKernelName },
      cpus: { type: 'string', default: '2' },
      memory: { type: 'string', default: '2048' },
      clock: { type: 'string', default: 'wall' },
      env: { type: 'string', multiple: true, default: [] },
      out: { type: 'string', default: 'build/vm-out' },
      timeout: { type: 'string', default: '300' },
      console: { type: 'boolean', default: false },
    },
  });
  const selected = selectKernels(values.kernel);
  if (!selected.ok) throw new Error(selected.error);
  const [kernel, ...more] = selected.kernels;
  if (kernel === undefined || more.length > 0) throw new Error('exec boots one kernel');
  if (positionals.length === 0) throw new Error('no command');
  if (values.clock !== 'wall' && values.clock !== 'virtual')
    throw new Error(`no such clock: ${values.clock}`);
  const env = Object.fromEntries(
    values.env.map((pair) => {
      const equals = pair.indexOf('=');
      if (equals < 1) throw new Error(`--env takes NAME=VALUE, not ${pair}`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
  const clock: 'wall' | 'virtual' = values.clock;
  const number = (name: 'cpus' | 'memory' | 'timeout'): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1)
      throw new Error(`--${name} takes a whole number, not ${values[name]}`);
    return value;
  };
  return {
    kernel,
    command: positionals,
    cpus: clock === 'virtual' ? 1 : number('cpus'),
    memoryMb: number('memory'),
    clock,
    env,
    timeoutSeconds: number('timeout'),
    outDir: values.out,
    showConsole: values.console,
  };
}

async function main(): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse();
  } catch (error) {
    printError(`error: ${message(error)}\n${usage}`);
    return 2;
  }
  const { showConsole, ...run } = parsed;
  const result = await runInVm({
    ...run,
    onLine: (line) => process.stdout.write(`${line}\n`),
    ...(showConsole ? { onConsole: printError } : {}),
  });
  if (result.failure !== undefined) {
    printError(result.lastLines.join('\n'));
    printError(`error: ${result.failure}\n  log:  ${result.console}`);
  }
  printError(`${result.accel}, ${result.seconds} s, results in ${run.outDir}`);
  return result.exitCode ?? 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  printError(`error: ${message(error)}`);
  process.exitCode = 2;
}
