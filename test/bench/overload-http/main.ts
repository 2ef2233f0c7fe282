/**
 * Overload over HTTP in a virtual machine: real services with the client library, the real agent and scheduler, beside
 * the same without shedding. Writes build/bench/overload-http.json and .svg. By itself: `node test/bench/overload-http/main.ts`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { BUNDLE_OPTIONS } from '../../../bundle-options.ts';
import { chooseAccelerator } from '../../vm/accel.ts';
import { prepareAssets } from '../../vm/assets.ts';
import { runInVm } from '../../vm/boot.ts';
import { defaultKernelName, type Kernel, selectKernels } from '../../vm/kernels.ts';
import { barPicture } from '../bar-picture.ts';
import {
  figuresOf,
  type MeasuredOverload,
  type OverloadReport,
  tableOf,
  type WindowFigures,
} from './figures.ts';
import { LOADS, SERVICES, VARIANTS, WINDOW_SECONDS } from './plan.ts';

export const OVERLOAD_HTTP = {
  name: 'overload-http',
  title: 'three HTTP services at 0.8 to 3 times the load, with the client library and without shedding',
} as const;

export interface OverloadRun {
  kernel: Kernel;
  /** Where results go. */
  outDir: string;
  say: (text: string) => void;
}

const bundle = async (): Promise<void> => {
  await build({
    ...BUNDLE_OPTIONS,
    entryPoints: {
      inside: 'test/bench/overload-http/inside.ts',
      service: 'test/bench/overload-http/service.ts',
      load: 'test/bench/load.ts',
    },
    outdir: 'build/vm/overload-http',
    logLevel: 'warning',
  });
};

const pictureOf = (windows: readonly WindowFigures[], clock: string, kernel: string): string =>
  barPicture({
    title: 'Three HTTP services, offered more than the node can do',
    subtitle: [
      `Linux ${kernel}, one emulated CPU, ${clock} clock, windows of ${WINDOW_SECONDS} s after 5 s of the same load`,
      SERVICES.map(
        ({ name, importance, budgetMs }) => `${name}: importance ${importance}, ${budgetMs} ms`,
      ).join('; '),
    ],
    label: 'Share of the offered requests that were answered within the budget, %',
    groups: LOADS.flatMap((load) =>
      SERVICES.map(({ name }) => ({
        name: `${load} x, ${name}`,
        bars: VARIANTS.filter(({ loads }) => loads.includes(load)).map((variant) => ({
          label: variant.name,
          values: windows
            .filter((window) => window.load === load && window.variant === variant.name)
            .flatMap(({ services }) => services.filter((service) => service.name === name))
            .map(({ good }) => good * 100),
        })),
      })),
    ),
  });

/** @returns the table. Throws where nothing was measured. */
export const runOverloadHttp = async ({ kernel, outDir, say }: OverloadRun): Promise<string> => {
  await bundle();
  const assets = await prepareAssets(kernel);
  const clock = (await chooseAccelerator(assets)) === 'kvm' ? 'wall' : 'virtual';
  const dir = join(outDir, OVERLOAD_HTTP.name);
  mkdirSync(dir, { recursive: true });
  const result = await runInVm({
    kernel,
    command: ['node', '/work/build/vm/overload-http/inside.mjs', '/work', '/out'],
    cpus: clock === 'wall' ? 2 : 1,
    memoryMb: 3072,
    clock,
    timeoutSeconds: 3_600,
    onLine: say,
    outDir: dir,
  });
  if (result.failure !== undefined || result.exitCode !== 0)
    throw new Error(`${result.failure ?? `the run ended with ${result.exitCode}`}; logs: ${dir}/logs`);
  const measured: MeasuredOverload = JSON.parse(readFileSync(join(dir, 'measured.json'), 'utf8'));
  const windows = measured.windows
    .map((window) => figuresOf(window, SERVICES, measured.cpus))
    .sort((a, b) => a.load - b.load);
  const report: OverloadReport = {
    scenario: OVERLOAD_HTTP.name,
    clock,
    kernel: measured.kernel,
    cpus: measured.cpus,
    runs: 1,
    services: SERVICES,
    windows,
  };
  writeFileSync(join(outDir, `${OVERLOAD_HTTP.name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(outDir, `${OVERLOAD_HTTP.name}.svg`), pictureOf(windows, clock, measured.kernel));
  return tableOf(windows);
};

if (import.meta.main) {
  const project = join(import.meta.dirname, '../../..');
  const selected = selectKernels(process.env.KERNEL || defaultKernelName);
  const kernel = selected.ok ? selected.kernels[0] : undefined;
  if (kernel === undefined) throw new Error(selected.ok ? 'no kernel' : selected.error);
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  say(await runOverloadHttp({ kernel, outDir: join(project, 'build/bench'), say }));
}
