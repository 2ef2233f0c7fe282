import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_LIMITS,
  parseCpuMax,
  parseCpuPressureTotalNs,
  parseCpuStat,
  parseCpuWeight,
  quotaCpusOf,
  readCgroupLimits,
  readIsPopulated,
} from './cgroup-files.ts';

describe('control files', () => {
  it('reads what the kernel prints', () => {
    expect(parseCpuWeight('100\n')).toBe(100);
    expect(parseCpuWeight('0\n')).toBe(0);
    expect(parseCpuMax('max 100000\n')).toEqual({ quotaNs: 0, periodUs: 0 });
    expect(parseCpuMax('50000 200000\n')).toEqual({ quotaNs: 50e6, periodUs: 200_000 });
    expect(quotaCpusOf(parseCpuMax('50000 200000\n'))).toBe(0.25);
    expect(quotaCpusOf(parseCpuMax('max 100000\n'))).toBeUndefined();
    const stat =
      'usage_usec 12\nuser_usec 7\nsystem_usec 5\nnr_periods 3\nnr_throttled 2\nthrottled_usec 9\n';
    expect(parseCpuStat(stat)).toEqual({
      usageNs: 12_000,
      periods: 3,
      throttledPeriods: 2,
      throttledNs: 9_000,
    });
    expect(parseCpuStat('usage_usec 12\n').throttledNs).toBe(0);
    const pressure =
      'some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n';
    expect(parseCpuPressureTotalNs(pressure)).toBe(77_000);
  });

  it.each(['', '10001', '-1', 'idle', '1e3', ' 5'])('takes %j for no weight', (text) => {
    expect(parseCpuWeight(text)).toBeUndefined();
  });

  it('never answers with a number that is none', () => {
    void fc.assert(
      fc.property(fc.string(), (text) => {
        expect(quotaCpusOf(parseCpuMax(text))).not.toBeNaN();
        expect(parseCpuWeight(text)).not.toBeNaN();
        expect(parseCpuPressureTotalNs(text)).not.toBeNaN();
        expect(Object.values(parseCpuStat(text)).every(Number.isFinite)).toBe(true);
      }),
    );
  });

  it('reads a directory, whatever of it is there', () => {
    const directory = mkdtempSync(join(tmpdir(), 'scx-slo-files-'));
    const write = (file: string, text: string) => writeFileSync(join(directory, file), text);
    try {
      expect(readCgroupLimits(directory)).toEqual(DEFAULT_LIMITS);
      write('cpu.weight', '39\n');
      expect(readCgroupLimits(directory)).toEqual({ ...DEFAULT_LIMITS, weight: 39 });
      write('cpu.idle', '0\n');
      write('cpu.weight', '1\n');
      expect(readCgroupLimits(directory)).toEqual({ ...DEFAULT_LIMITS, weight: 1 });
      write('cpu.idle', '1\n');
      write('cpu.max', '20000 100000\n');
      const idle = { weight: 1, idle: true, quotaNs: 20e6, periodUs: 100_000 };
      expect(readCgroupLimits(directory)).toEqual(idle);
      expect(readIsPopulated(directory)).toBe(true);
      write('cgroup.events', 'populated 0\nfrozen 0\n');
      expect(readIsPopulated(directory)).toBe(false);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
