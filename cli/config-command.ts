/** `scx-slo config init` and `scx-slo config check`. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { parseConfig } from '../slo/config-file.ts';
import { CONFIG_TEMPLATE } from '../slo/config-template.ts';

const DEFAULT_FILE = '/etc/scx-slo/config';
const USAGE = 'usage: scx-slo config init [--output FILE] | scx-slo config check FILE\n';

export async function configCommand(argv: readonly string[]): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb === 'init') {
    return await init(rest);
  }
  const [file, ...extra] = rest;
  if (verb === 'check' && file !== undefined && extra.length === 0) {
    return await check(file);
  }
  process.stderr.write(USAGE);
  return 2;
}

async function init(argv: string[]): Promise<number> {
  let output: string;
  try {
    const { values } = parseArgs({
      args: argv,
      options: { output: { type: 'string', default: DEFAULT_FILE } },
    });
    output = values.output;
  } catch (error) {
    process.stderr.write(`scx-slo config init: ${messageOf(error)}\n${USAGE}`);
    return 2;
  }
  if (output === '-') {
    process.stdout.write(CONFIG_TEMPLATE);
    return 0;
  }
  try {
    await mkdir(dirname(output), { recursive: true });
    // Never over a file that somebody may have edited.
    await writeFile(output, CONFIG_TEMPLATE, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    const why = exists ? 'it exists already and is left as it is' : messageOf(error);
    process.stderr.write(
      `scx-slo config init: cannot write ${output}: ${why}. Choose another file with --output FILE\n`,
    );
    return 1;
  }
  process.stdout.write(`wrote ${output}; edit it, then: scx-slo config check ${output}\n`);
  return 0;
}

async function check(file: string): Promise<number> {
  let bytes: Buffer;
  try {
    if (!(await stat(file)).isFile()) {
      throw new Error('not a regular file');
    }
    bytes = await readFile(file);
  } catch (error) {
    process.stderr.write(`${file}: cannot be read: ${messageOf(error)}\n`);
    return 1;
  }
  const { rules, errors } = parseConfig(bytes);
  for (const { line, column, code, message } of errors) {
    process.stdout.write(`${file}:${line}:${column}: ${code}: ${message}\n`);
  }
  process.stdout.write(`${file}: ${count(rules.length, 'rule')}, ${count(errors.length, 'error')}\n`);
  return errors.length === 0 ? 0 : 1;
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
