import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PressureFeed, readTotalsBelow } from './pressure-feed.ts';

let root: string;

/** The files of cgroup `/name` as the kernel writes them, in us. */
const write = (name: string, pressedUs: number | undefined, usageUs: number, periods = 0, throttled = 0) => {
  mkdirSync(join(root, name), { recursive: true });
  const stat = `usage_usec ${usageUs}\nuser_usec 0\nnr_periods ${periods}\nnr_throttled ${throttled}\n`;
  writeFileSync(join(root, name, 'cpu.stat'), stat);
  if (pressedUs === undefined) return;
  const line = (kind: string) => `${kind} avg10=0.00 avg60=0.00 avg300=0.00 total=${pressedUs}\n`;
  writeFileSync(join(root, name, 'cpu.pressure'), line('some') + line('full'));
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'scx-slo-pressure-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

describe('pressure feed', () => {
  it('gives pressure, CPUs and throttling between two reads', () => {
    const feed = new PressureFeed(readTotalsBelow(root));
    write('a', 1_000, 5_000, 10, 1);
    feed.turn(['/a'], 64, 1_000);
    expect(feed.get('/a')).toEqual({ share: undefined, usedCpus: 0, throttled: 0 });
    expect(feed.ageMs(1_000)).toBe(Number.POSITIVE_INFINITY);
    write('a', 151_000, 305_000, 20, 6);
    feed.turn(['/a'], 64, 1_200);
    expect(feed.get('/a')).toEqual({ share: 0.75, usedCpus: 1.5, throttled: 0.5 });
    expect(feed.ageMs(1_300)).toBe(100);
  });

  it('knows no pressure without PSI, and nothing of a cgroup that is gone', () => {
    const feed = new PressureFeed(readTotalsBelow(root));
    write('a', undefined, 0);
    feed.turn(['/a', '/gone'], 64, 0);
    write('a', undefined, 200_000);
    feed.turn(['/a', '/gone'], 64, 200);
    expect(feed.get('/a')).toEqual({ share: undefined, usedCpus: 1, throttled: 0 });
    expect(feed.get('/gone').share).toBeUndefined();
    expect(feed.get(undefined).usedCpus).toBe(0);
  });

  it('reads so many in a turn, all of them in turns, and follows who is there', () => {
    const reads: string[] = [];
    const feed = new PressureFeed((path) => {
      reads.push(path);
      return undefined;
    });
    feed.turn(['/a', '/b', '/c'], 2, 0);
    feed.turn(['/a', '/b', '/c'], 2, 200);
    expect(reads).toEqual(['/a', '/b', '/c', '/a']);
    feed.turn([], 2, 400);
    expect(reads).toHaveLength(4);
  });

  it('never counts backwards where counters begin anew', () => {
    const feed = new PressureFeed(readTotalsBelow(root));
    write('a', 900_000, 900_000, 50, 50);
    feed.turn(['/a'], 64, 0);
    write('a', 0, 0, 0, 0);
    feed.turn(['/a'], 64, 200);
    expect(feed.get('/a')).toEqual({ share: 0, usedCpus: 0, throttled: 0 });
  });
});
