import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigSource } from './config-source.ts';
import { sourceErrorText } from './source-error.ts';
import type { TargetSnapshot } from './target.ts';

const POLL_MS = 15;
let directory: string;
let file: string;
let source: ConfigSource | undefined;
let snapshots: TargetSnapshot[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'scx-slo-config-'));
  file = join(directory, 'config');
  snapshots = [];
});

afterEach(() => {
  source?.stop();
  rmSync(directory, { recursive: true });
});

async function start(): Promise<void> {
  source = new ConfigSource({ file, pollMs: POLL_MS, settleMs: POLL_MS });
  await source.start((snapshot) => snapshots.push(snapshot));
}

const now = () => {
  const snapshot = snapshots.at(-1);
  return {
    rules: snapshot?.targets.map((t) => (t.kind === 'path' ? `${t.path} ${t.slo.budgetMs}` : t.name)),
    errors: snapshot?.errors.map((error) => sourceErrorText(error).replace(directory, '')),
  };
};

async function eventually(wanted: ReturnType<typeof now>): Promise<void> {
  await expect.poll(now, { timeout: 5000, interval: 10 }).toEqual(wanted);
}

describe('ConfigSource', () => {
  it('hands out the rules, with importance up to 100, and the position of each bad line', async () => {
    writeFileSync(file, '# rules\n/a 5 100\n/b 0 5\n/c 7 7\n');
    await start();
    expect(snapshots).toEqual([
      {
        targets: [
          {
            kind: 'path',
            path: '/a',
            slo: { budgetMs: 5, importance: 100, shed: true, source: 'config', clamped: [] },
            line: 2,
          },
          expect.objectContaining({ path: '/c', line: 4 }),
        ],
        errors: [expect.objectContaining({ file, line: 3, column: 4, code: 'SLO_E_BUDGET' })],
      },
    ]);
  });

  it('follows a rename over it, a rewrite in place and an append', async () => {
    writeFileSync(file, '/a 1 1\n');
    await start();
    writeFileSync(`${file}.new`, '/a 2 1\n');
    renameSync(`${file}.new`, file);
    await eventually({ rules: ['/a 2'], errors: [] });
    writeFileSync(file, '/a 3 1\n');
    await eventually({ rules: ['/a 3'], errors: [] });
    appendFileSync(file, '/b 4 1\n');
    await eventually({ rules: ['/a 3', '/b 4'], errors: [] });
  });

  it('follows a symbolic link that is swapped, as in a ConfigMap volume', async () => {
    const version = (name: string, text: string) => {
      mkdirSync(join(directory, name));
      writeFileSync(join(directory, name, 'config'), text);
      symlinkSync(name, join(directory, 'next'));
      renameSync(join(directory, 'next'), join(directory, 'data'));
    };
    version('v1', '/a 1 1\n');
    symlinkSync('data/config', file);
    await start();
    version('v2', '/a 2 1\n');
    await eventually({ rules: ['/a 2'], errors: [] });
  });

  it('keeps the rules when the file vanishes, and says so once', async () => {
    writeFileSync(file, '/a 1 1\n');
    await start();
    rmSync(file);
    const gone = '/config: SLO_E_CONFIG_FILE: does not exist; the 1 rules that hold stay';
    await eventually({ rules: ['/a 1'], errors: [gone] });
    await sleep(10 * POLL_MS);
    expect(snapshots).toHaveLength(2);
    writeFileSync(file, '/a 1 1\n');
    await eventually({ rules: ['/a 1'], errors: [] });
  });

  it('does not hand out the same answer twice', async () => {
    writeFileSync(file, '/a 1 1\n');
    await start();
    writeFileSync(file, '# a comment\n');
    writeFileSync(file, '/a 1 1\n');
    await sleep(10 * POLL_MS);
    expect(snapshots).toHaveLength(1);
  });

  it.each<[string, () => void, string]>([
    ['no file', () => {}, 'does not exist'],
    ['a directory', () => mkdirSync(file), 'is a directory, not a regular file'],
    ['a FIFO', () => execFileSync('mkfifo', [file]), 'is a FIFO, not a regular file'],
    ['a loop of links', () => symlinkSync('config', file), 'is a loop of symbolic links'],
    [
      'a file that is too large',
      () => writeFileSync(file, Buffer.alloc(17 * 1024 * 1024, '\n')),
      'has 17825792 bytes, more than the 16777216 allowed',
    ],
  ])('reports %s and picks up a good file later', async (_what, make, problem) => {
    make();
    await start();
    expect(now()).toEqual({ rules: [], errors: [`/config: SLO_E_CONFIG_FILE: ${problem}`] });
    rmSync(file, { recursive: true, force: true });
    writeFileSync(file, '/a 1 1\n');
    await eventually({ rules: ['/a 1'], errors: [] });
  });

  it('keeps the rules without permission to read', async () => {
    writeFileSync(file, '/a 1 1\n');
    chmodSync(directory, 0o755);
    await start();
    chmodSync(file, 0);
    // To root every file is readable.
    const wasRoot = process.geteuid?.() === 0;
    try {
      if (wasRoot) {
        process.seteuid?.(65_534);
      }
      await eventually({
        rules: ['/a 1'],
        errors: ['/config: SLO_E_CONFIG_FILE: cannot be read: no permission; the 1 rules that hold stay'],
      });
    } finally {
      if (wasRoot) {
        process.seteuid?.(0);
      }
    }
  });

  it('names a hundred bad lines and counts the others', async () => {
    writeFileSync(file, '/a 0 1\n'.repeat(100_000));
    await start();
    const { errors } = now();
    expect(errors).toHaveLength(101);
    expect(errors?.at(-1)).toBe('/config: SLO_E_CONFIG_FILE: 99900 more bad lines');
  });

  it('is silent after stop', async () => {
    writeFileSync(file, '/a 1 1\n');
    await start();
    source?.stop();
    writeFileSync(file, '/a 2 2\n');
    await sleep(10 * POLL_MS);
    expect(snapshots).toHaveLength(1);
  });
});
