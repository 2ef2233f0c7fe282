/**
 * The build context of the image: `node manifests/image/stage.ts DIRECTORY` puts what the image holds of this project
 * into DIRECTORY/app, laid out as in the image, and prints a key of all of it. The same inputs give the same key.
 */
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, globSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { arch } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';
import { BUNDLE_OPTIONS } from '../../bundle-options.ts';

const project = join(import.meta.dirname, '../..');
/** What manifests/demo runs. */
const PROGRAMS = {
  batch: 'test/demo/batch.ts',
  load: 'test/demo/cluster-load.ts',
  service: 'test/bench/service.ts',
};
const OBJECTS = ['cgroups', 'observer', 'process', 'scheduler'];

/** Where things are in the image. Bundles find objects, library and koffi beside their own folder. */
const HOME = 'opt/scx-slo';

const fail = (message: string): never => {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
};

/** Each file's place in the image, by its path in the checkout. */
const filesOf = (machine: string): Map<string, string> => {
  const files = new Map<string, string>();
  const add = (from: string, to: string): void => void files.set(from, to);
  const addAll = (pattern: string, folder: string, relativeTo = dirname(pattern)): void => {
    const found = globSync(pattern, { cwd: project }).filter((file) =>
      statSync(join(project, file)).isFile(),
    );
    if (found.length === 0) fail(`nothing matches ${pattern}: run \`make build\``);
    for (const file of found) add(file, join(folder, file.slice(relativeTo.length + 1)));
  };
  addAll('build/dist/*.mjs', `${HOME}/dist`);
  addAll('build/dist/*.txt', `${HOME}/dist`);
  for (const object of OBJECTS) add(`build/bpf/${object}.bpf.o`, `${HOME}/bpf/${object}.bpf.o`);
  add('build/lib/libbpf.so.1', `${HOME}/lib/libbpf.so.1`);
  add(`node_modules/node-linux-${machine}/bin/node`, 'usr/local/bin/node');
  add(`node_modules/node-linux-${machine}/LICENSE`, 'usr/share/doc/node/copyright');
  add('manifests/image/scx-slo.cjs', 'usr/local/bin/scx-slo');
  const koffi = 'node_modules/koffi';
  for (const file of ['package.json', 'LICENSE.txt']) add(`${koffi}/${file}`, `${HOME}/${koffi}/${file}`);
  addAll(`${koffi}/*.{js,cjs}`, `${HOME}/${koffi}`);
  addAll(`${koffi}/src/koffi/*.{js,cjs}`, `${HOME}/${koffi}/src/koffi`);
  addAll(`${koffi}/src/koffi/src/*.{js,cjs}`, `${HOME}/${koffi}/src/koffi/src`);
  const native = `node_modules/@koromix/koffi-linux-${machine}`;
  addAll(`${native}/*.{js,json}`, `${HOME}/${native}`);
  add(`${native}/linux_${machine}/koffi.node`, `${HOME}/${native}/linux_${machine}/koffi.node`);
  add('package.json', `${HOME}/package.json`);
  add('LICENSE', 'usr/share/doc/scx-slo/copyright');
  addAll('LICENSES/*', 'usr/share/doc/scx-slo');
  for (const program of Object.keys(PROGRAMS))
    add(`build/image/demo/${program}.mjs`, `${HOME}/demo/${program}.mjs`);
  return files;
};

const EXECUTABLE = new Set(['node', 'scx-slo']);

const stage = async (directory: string): Promise<string> => {
  const machine = arch();
  if (machine !== 'x64' && machine !== 'arm64') fail(`no image for ${machine}: x64 and arm64 only`);
  await build({ ...BUNDLE_OPTIONS, entryPoints: PROGRAMS, outdir: 'build/image/demo', logLevel: 'warning' });
  const app = join(directory, 'app');
  rmSync(app, { recursive: true, force: true });
  const key = createHash('sha256');
  for (const [from, to] of [...filesOf(machine)].sort(([, a], [, b]) => (a < b ? -1 : 1))) {
    const target = join(app, to);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(project, from), target);
    chmodSync(target, EXECUTABLE.has(basename(target)) && to.startsWith('usr/local/bin/') ? 0o755 : 0o644);
    key.update(`${to}\0`).update(readFileSync(target)).update('\0');
  }
  key.update(readFileSync(join(import.meta.dirname, 'Dockerfile')));
  return key.digest('hex').slice(0, 12);
};

const [, , directory] = process.argv;
if (directory === undefined) fail('usage: stage.ts DIRECTORY');
else process.stdout.write(`${await stage(directory)}\n`);
