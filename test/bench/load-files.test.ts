import { expect, test } from 'vitest';
import { parsePacerResult, readProgress, readSchedule, scheduleFile } from './load-files.ts';

const arrivals = [
  { atMs: 1, worker: 1 },
  { atMs: 2.5, worker: 0 },
  { atMs: 7, worker: 1 },
];

test('a schedule comes back in the order of its arrivals, whoever works on them', () => {
  const { originNs, requests } = readSchedule(scheduleFile(arrivals, 2, 1000));
  expect(originNs).toBe(0);
  expect(requests).toEqual([
    { atMs: 1, doneMs: undefined },
    { atMs: 2.5, doneMs: undefined },
    { atMs: 7, doneMs: undefined },
  ]);
});

test("a worker's requests are consecutive, and the end of one counts from the origin", () => {
  const bytes = scheduleFile(arrivals, 2, 1000);
  const data = new DataView(bytes.buffer);
  const [header, worker] = [64, 64];
  expect(data.getUint32(8, true)).toBe(2);
  expect(Number(data.getBigUint64(16, true))).toBe(1000);
  const [first, second] = [0, 1].map((index) => ({
    first: Number(data.getBigUint64(header + index * worker + 8, true)),
    count: Number(data.getBigUint64(header + index * worker + 16, true)),
  }));
  expect([first, second]).toEqual([
    { first: 0, count: 1 },
    { first: 1, count: 2 },
  ]);
  const requestsAt = Number(data.getBigUint64(32, true));
  data.setBigUint64(24, 5_000_000_000n, true);
  data.setBigUint64(requestsAt + 8, 5_004_500_000n, true);
  expect(readSchedule(bytes).requests[1]).toEqual({ atMs: 2.5, doneMs: 4.5 });
});

test('a file of another kind is refused, an unfinished progress file is not there yet', () => {
  expect(() => readSchedule(new Uint8Array(128))).toThrow('not a schedule');
  expect(readProgress(new Uint8Array(0))).toBeUndefined();
  expect(readProgress(new Uint8Array(256))).toBeUndefined();
});

test('the pacer tells the window and the accounts at both of its ends', () => {
  const text = [
    'window 1000000000 3000000000',
    'max_late 250000',
    'account 0 /sys/fs/cgroup/a/cpu.stat',
    'usage_usec 10',
    'user_usec 4',
    '',
    'account 1 /sys/fs/cgroup/a/cpu.stat',
    'usage_usec 900010',
    '',
  ].join('\n');
  const result = parsePacerResult(text);
  expect(result).toMatchObject({ fromNs: 1e9, toNs: 3e9, maxLateMs: 0.25 });
  expect(result.before['/sys/fs/cgroup/a/cpu.stat']).toContain('usage_usec 10\n');
  expect(result.after['/sys/fs/cgroup/a/cpu.stat']).toContain('usage_usec 900010');
  expect(() => parsePacerResult('')).toThrow('no result');
});
