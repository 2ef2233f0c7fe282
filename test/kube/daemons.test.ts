import { describe, expect, it } from 'vitest';
import { daemonsBetween, readDaemons } from './daemons.ts';

const line = (atMs: number, usedMs: number, waitedMs: number): string =>
  `daemons {"atMs":${atMs},"kubelet":{"usedMs":${usedMs},"ranMs":${usedMs},"waitedMs":${waitedMs},"pressureMs":${waitedMs / 2}}}`;

describe('what the node says of its own programs', () => {
  it('is told of the time between two samples', () => {
    const [from, to] = [readDaemons(line(10_000, 100, 200)), readDaemons(line(20_000, 1_100, 4_200))];
    if (from === undefined || to === undefined) throw new Error('no sample');
    expect(daemonsBetween(from, to)).toBe('10 s: kubelet 0.10 CPUs wait/run 4.00 waiting 20 %');
  });

  it('counts a program that was not there before from nothing', () => {
    const to = readDaemons(line(20_000, 1_000, 0));
    if (to === undefined) throw new Error('no sample');
    expect(daemonsBetween({ atMs: 10_000, daemons: {} }, to)).toContain('0.10 CPUs');
  });

  it('is no other line, and no line that was cut', () => {
    expect(readDaemons('34.8 s: kubelet')).toBeUndefined();
    expect(readDaemons('daemons {"atMs":1,"kube')).toBeUndefined();
  });
});
