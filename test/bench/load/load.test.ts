// The load programs as real processes on this machine; no figure here is judged by how fast the machine is.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { parsePacerResult, readProgress, readSchedule, scheduleFile } from '../load-files.ts';

const dir = mkdtempSync(join(tmpdir(), 'bench-load-'));
const program = join(dir, 'bench-load');
const file = (name: string): string => join(dir, name);
const running: ChildProcess[] = [];

beforeAll(() => {
  execFileSync('make', ['-C', import.meta.dirname, `OUT=${dir}`], { stdio: 'pipe' });
}, 60_000);

afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

const start = (...words: string[]): ChildProcess => {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  return child;
};

const eventually = <T>(look: () => T | undefined): Promise<T> =>
  vi.waitFor(
    () => {
      const found = look();
      if (found === undefined) throw new Error('not yet');
      return found;
    },
    { timeout: 10_000, interval: 20 },
  );

const threadsOf = (name: string) => {
  try {
    return readProgress(readFileSync(file(name)));
  } catch {
    return undefined;
  }
};

/** The program's threads once each of them has done something. */
const busy = (name: string) =>
  eventually(() => {
    const threads = threadsOf(name);
    return threads?.every(({ count }) => count > 0) ? threads : undefined;
  });

test('calibrate prints what a million turns cost', () => {
  const ns = Number(execFileSync(program, ['calibrate'], { encoding: 'utf8' }));
  expect(ns).toBeGreaterThan(100_000);
});

test('a hog counts its turns in every thread', async () => {
  start('hog', file('hog'), '3');
  expect(await busy('hog')).toHaveLength(3);
});

test('pipes, messages and wake-ups are counted', async () => {
  start('pingpong', file('pipes'), '2');
  start('messaging', file('messages'), '1', '3');
  start('wakers', file('wakers'), '4', '2000', '10');
  expect(await busy('pipes')).toHaveLength(2);
  expect(await busy('messages')).toHaveLength(3);
  expect(await busy('wakers')).toHaveLength(4);
});

test('a bad command line is an error that says why', () => {
  const run =
    (...words: string[]) =>
    () =>
      execFileSync(program, words, { stdio: 'pipe' });
  expect(run('nonsense')).toThrow('no such command: nonsense');
  expect(run('hog', file('x'), '-3')).toThrow('is no number of threads');
  expect(run('service', file('missing'))).toThrow('No such file');
});

test('launch puts each program into its cgroup before it does anything', async () => {
  const cgroup = join(dir, 'cgroup');
  mkdirSync(cgroup);
  writeFileSync(join(cgroup, 'cgroup.procs'), '');
  writeFileSync(file('list'), `${cgroup} wakers ${file('launched')} 2 2000 10\n${cgroup} calibrate\n`);
  start('launch', file('list'));
  await busy('launched');
  expect(readFileSync(join(cgroup, 'cgroup.procs'), 'utf8')).toBe('0');
});

const isRealtimeAllowed = (): boolean => {
  try {
    execFileSync('chrt', ['-f', '1', 'true'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
};

test('the pacer hands out every request once, and the service works them off in order', async (context) => {
  if (!isRealtimeAllowed()) context.skip('this user may not run realtime threads');
  const arrivals = Array.from({ length: 60 }, (_, index) => ({ atMs: 10 * index, worker: index % 2 }));
  writeFileSync(file('schedule'), scheduleFile(arrivals, 2, 1000));
  writeFileSync(file('account'), 'usage_usec 5\n');
  writeFileSync(file('accounts'), `${file('account')}\n`);
  start('service', file('schedule'));
  const out = execFileSync(
    program,
    ['pacer', '50', '200', '600', '100', file('accounts'), file('out'), file('schedule')],
    { encoding: 'utf8' },
  );
  expect(out.split('\n').filter((line) => line !== '')).toEqual(['ready', 'soon', 'from', 'to', 'end']);
  const { fromNs, toNs, before, after } = parsePacerResult(readFileSync(file('out'), 'utf8'));
  expect(toNs - fromNs).toBeGreaterThanOrEqual(399e6);
  expect(
    [before[file('account')], after[file('account')]].every((text) => text?.includes('usage_usec 5')),
  ).toBe(true);
  const { requests, originNs } = await eventually(() => {
    const schedule = readSchedule(readFileSync(file('schedule')));
    return schedule.requests.every(({ doneMs }) => doneMs !== undefined) ? schedule : undefined;
  });
  expect(originNs).toBeGreaterThan(0);
  expect(requests).toHaveLength(60);
  for (const { atMs, doneMs } of requests) expect(doneMs).toBeGreaterThan(atMs);
  for (const worker of [0, 1]) {
    const ends = requests.filter((_, index) => index % 2 === worker).map(({ doneMs = 0 }) => doneMs);
    expect(ends).toEqual(ends.toSorted((a, b) => a - b));
  }
});
