import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONFIG_TEMPLATE } from '../slo/config-template.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'scx-slo-cli-'));
});

afterAll(() => rmSync(directory, { recursive: true }));

const CLI = join(import.meta.dirname, 'main.ts');

function run(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...argv], { cwd: directory }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

describe('scx-slo', () => {
  it('prints help and version, and refuses what it does not know', async () => {
    expect(await run()).toMatchObject({ code: 0, stdout: expect.stringContaining('usage: scx-slo') });
    expect(await run('version')).toEqual({ code: 0, stdout: 'scx-slo dev\n', stderr: '' });
    expect(await run('constructor')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no command "constructor"'),
    });
  });

  it('says how to build a part that is not built', async () => {
    expect(await run('run')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/agent\.mjs is missing\. Build it with: npm run build/),
    });
  });

  it('writes the example once and never over a file', async () => {
    const file = join(directory, 'etc', 'scx-slo', 'config');
    expect(await run('config', 'init', '--output', file)).toMatchObject({ code: 0 });
    expect(readFileSync(file, 'utf8')).toBe(CONFIG_TEMPLATE);
    writeFileSync(file, '/a 5 5\n');
    expect(await run('config', 'init', '--output', file)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it exists already and is left as it is'),
    });
    expect(readFileSync(file, 'utf8')).toBe('/a 5 5\n');
    expect((await run('config', 'init', '--output', '-')).stdout).toBe(CONFIG_TEMPLATE);
  });

  it('checks a file', async () => {
    writeFileSync(join(directory, 'good'), '/a 5 5\n');
    writeFileSync(join(directory, 'bad'), '/a 5 5\n/a/.. 5 5\n');
    expect(await run('config', 'check', 'good')).toEqual({
      code: 0,
      stdout: 'good: 1 rule, 0 errors\n',
      stderr: '',
    });
    expect(await run('config', 'check', 'bad')).toMatchObject({
      code: 1,
      stdout:
        'bad:2:1: SLO_E_CONFIG_PATH: "/a/..": "." and ".." are not allowed in a cgroup path\nbad: 1 rule, 1 error\n',
    });
    expect(await run('config', 'check', directory)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not a regular file'),
    });
    expect(await run('config', 'check')).toMatchObject({ code: 2 });
  });
});
