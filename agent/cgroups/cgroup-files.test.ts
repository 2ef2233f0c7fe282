import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCpuMax, parseCpuPressureTotalNs, parseCpuStat, parseCpuWeight } from './cgroup-files.ts';
import { LimitsCache } from './cgroup-limits.ts';

describe('control files', () => {
  it('reads what the kernel prints', () => {
    expect(parseCpuWeight('100\n')).toBe(100);
    expect(parseCpuMax('max 100000\n')).toBeUndefined();
    expect(parseCpuMax('50000 100000\n')).toBe(0.5);
    const stat =
      'usage_usec 12\nuser_usec 7\nsystem_usec 5\nnr_periods 3\nnr_throttled 2\nthrottled_usec 9\n';
    expect(parseCpuStat(stat)).toEqual({ usageNs: 12_000, throttledPeriods: 2, throttledNs: 9_000 });
    expect(parseCpuStat('usage_usec 12\n').throttledNs).toBe(0);
    const pressure =
      'some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n';
    expect(parseCpuPressureTotalNs(pressure)).toBe(77_000);
  });

  it.each(['', '0', '10001', '-1', 'idle', '1e3', ' 5'])('takes %j for no weight', (text) => {
    expect(parseCpuWeight(text)).toBeUndefined();
  });

  it('never answers with a number that is none', () => {
    void fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseCpuMax(text)).not.toBeNaN();
        expect(parseCpuWeight(text)).not.toBeNaN();
        expect(parseCpuPressureTotalNs(text)).not.toBeNaN();
        expect(Object.values(parseCpuStat(text)).every(Number.isFinite)).toBe(true);
      }),
    );
  });
});

describe('LimitsCache', () => {
  it('reads new cgroups at once, again soon, and says when a value changed', () => {
    let weight = 100;
    let reads = 0;
    const cache = new LimitsCache(() => {
      reads += 1;
      return { weight, quotaCpus: undefined };
    });
    cache.track(
      [
        { cgroupId: 1n, path: '/a' },
        { cgroupId: 2n, path: '/b' },
      ],
      0,
    );
    expect(cache.refresh(1, 0)).toBe(false);
    expect(reads).toBe(1);
    weight = 39;
    expect(cache.refresh(10, 200)).toBe(true);
    expect(cache.get(1n).weight).toBe(39);
    expect(cache.refresh(10, 201)).toBe(false);
    cache.track([{ cgroupId: 2n, path: '/b' }], 300);
    expect(cache.get(1n).weight).toBe(100);
    expect(cache.get(2n).weight).toBe(39);
  });
});
