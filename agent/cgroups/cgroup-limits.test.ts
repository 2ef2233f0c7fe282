import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from './cgroup-files.ts';
import { LimitsCache } from './cgroup-limits.ts';

const PAUSE_MS = 1_600;

/** A cache over weights that the test may change, and the paths that were read. */
const setUp = () => {
  const weights = new Map<string, number>();
  const reads: string[] = [];
  const cache = new LimitsCache((path) => {
    reads.push(path);
    return { ...DEFAULT_LIMITS, weight: weights.get(path) ?? 100 };
  });
  return { cache, weights, reads };
};

const tracked = (...ids: number[]) => ids.map((id) => ({ cgroupId: BigInt(id), path: `/${id}` }));

describe('LimitsCache', () => {
  it('reads new cgroups at once, again soon, and says when a value changed', () => {
    const { cache, weights, reads } = setUp();
    cache.track(tracked(1), 0);
    expect(cache.refresh(10, PAUSE_MS, 0)).toBe(false);
    expect(cache.refresh(10, PAUSE_MS, 50)).toBe(false);
    expect(reads).toHaveLength(1);
    weights.set('/1', 39);
    expect(cache.refresh(10, PAUSE_MS, 100)).toBe(true);
    expect(cache.get(1n).weight).toBe(39);
    expect(cache.refresh(10, PAUSE_MS, 101)).toBe(false);
  });

  it('forgets what no longer counts, and keeps what does', () => {
    const { cache, weights } = setUp();
    weights.set('/2', 39);
    cache.track(tracked(1, 2), 0);
    cache.refresh(10, PAUSE_MS, 0);
    cache.track(tracked(2), 300);
    cache.add(tracked(3), 300);
    expect(cache.get(1n)).toEqual(DEFAULT_LIMITS);
    expect(cache.get(2n).weight).toBe(39);
    expect(cache.size).toBe(2);
  });

  it('reads every settled cgroup within the pause and one turn, the longest unread first', () => {
    const { cache, reads } = setUp();
    const ids = Array.from({ length: 40 }, (_, id) => id);
    cache.track(tracked(...ids), 0);
    let nowMs = 0;
    const turn = () => {
      cache.refresh(10, PAUSE_MS, nowMs);
      nowMs += 200;
    };
    for (let turns = 0; turns < 60; turns += 1) turn();
    reads.length = 0;
    const lastRead = new Map<string, number>();
    for (let turns = 0; turns < 100; turns += 1) {
      const before = reads.length;
      turn();
      expect(reads.length - before).toBeLessThanOrEqual(10);
      for (const path of reads.slice(before)) {
        expect(nowMs - (lastRead.get(path) ?? nowMs)).toBeLessThanOrEqual(PAUSE_MS + 400);
        lastRead.set(path, nowMs);
      }
    }
    expect(lastRead.size).toBe(ids.length);
  });

  it('does not let a flood of new cgroups keep it from the others', () => {
    const { cache, reads } = setUp();
    cache.track(tracked(1), 0);
    for (const nowMs of [0, 100, 1_100]) cache.refresh(10, PAUSE_MS, nowMs);
    reads.length = 0;
    cache.add(tracked(...Array.from({ length: 1_000 }, (_, n) => n + 10)), 2_000);
    cache.refresh(10, PAUSE_MS, 3_000);
    expect(reads).toHaveLength(6);
    expect(reads).toContain('/1');
  });

  it('reads at once what somebody wrote to', () => {
    const { cache, weights } = setUp();
    cache.track(tracked(1, 2), 0);
    cache.refresh(10, PAUSE_MS, 0);
    weights.set('/2', 7);
    expect(cache.readNow([2n, 99n], 10)).toBe(true);
    expect(cache.get(2n).weight).toBe(7);
    expect(cache.readNow([2n], 20)).toBe(false);
  });
});
