/** The command as a person types it, against this machine: whatever it is, the answer must be complete. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { exitRecord } from '../exit-record.ts';
import { ExitStore } from '../exit-store.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const stateDir = mkdtempSync(join(tmpdir(), 'scx-slo-doctor-'));
afterAll(() => rmSync(stateDir, { recursive: true }));

/** Port 9: nothing answers there. */
const doctor = (...argv: string[]) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const where = ['--local-address', '127.0.0.1:9', '--state-dir', stateDir];
    execFile(process.execPath, [MAIN, ...where, ...argv], (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });

it('answers as text and as JSON, and its exit code says the same', async () => {
  const [text, json] = await Promise.all([doctor(), doctor('--json')]);
  const { ok, checks } = JSON.parse(json.stdout);
  expect(json.code).toBe(ok ? 0 : 1);
  expect(text.code).toBe(json.code);
  expect(checks.map(({ id }: { id: string }) => id)).toEqual(
    expect.arrayContaining(['kernel', 'btf', 'cgroup', 'sched-ext', 'libbpf', 'tick', 'agent', 'last-exit']),
  );
  const lines = text.stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(checks.length + 1);
  expect(lines.filter((line) => /^(WARN|FAIL)/.test(line) && !line.includes('Next: '))).toEqual([]);
  expect(lines.at(-1)).toMatch(/^judged for mode enforce: \d+ ok, \d+ warnings?, \d+ failures?$/);
});

it('prints a dump that an agent left', async () => {
  const store = new ExitStore(stateDir, (problem) => expect.fail(problem.why));
  const exit = {
    kind: 1026,
    exitCode: 0n,
    reason: 'runnable task stall',
    message: 'sh[7]',
    dump: 'CPU 0\n  x',
  };
  store.add(exitRecord(exit, { atMs: Date.now(), kernel: '7.3', ranMs: 1_000 }));
  await store.settled();
  expect((await doctor('--dump')).stdout).toMatch(/\n\nCPU 0\n {2}x\n$/);
});

it('refuses a bad command line', async () => {
  expect(await doctor('--mode', 'turbo')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--mode takes'),
  });
  expect(await doctor('--nope')).toMatchObject({ code: 2, stderr: expect.stringContaining('usage:') });
  expect(await doctor('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('--dump') });
});
