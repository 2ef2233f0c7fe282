/** Builds the package that applications install: one file for ESM, one for CommonJS, and types for both. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';

const HERE = import.meta.dirname;

const writeJson = (file: string, value: unknown): void =>
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);

const writeTypes = (out: string): void => {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  execFileSync(process.execPath, [tsc, '-p', join(HERE, 'tsconfig.json'), '--outDir', join(out, 'esm')], {
    stdio: 'inherit',
  });
  for (const name of readdirSync(join(out, 'esm')).filter((file) => file.endsWith('.d.ts'))) {
    const file = join(out, 'esm', name);
    // Declarations keep the names of the sources that they import.
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/(from '\.\/[a-z-]+)\.ts(')/g, '$1.js$2'));
  }
};

/** @param out directory of the package, made anew. */
export const buildClient = async (out: string, version: string): Promise<void> => {
  rmSync(out, { recursive: true, force: true });
  for (const format of ['esm', 'cjs'] as const) {
    await build({
      absWorkingDir: HERE,
      entryPoints: ['index.ts'],
      outdir: resolve(out, format),
      bundle: true,
      format,
      platform: 'node',
      target: 'node18',
      logLevel: 'warning',
    });
  }
  writeTypes(out);
  cpSync(join(out, 'esm'), join(out, 'cjs'), { recursive: true, filter: (from) => !from.endsWith('.js') });
  writeJson(join(out, 'cjs', 'package.json'), { type: 'commonjs' });
  writeJson(join(out, 'package.json'), {
    ...JSON.parse(readFileSync(join(HERE, 'package.json'), 'utf8')),
    version,
  });
  copyFileSync(join(HERE, 'README.md'), join(out, 'README.md'));
  copyFileSync(join(HERE, '..', 'LICENSES', 'Apache-2.0.txt'), join(out, 'LICENSE'));
};
