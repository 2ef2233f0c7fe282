import { describe, expect, it } from 'vitest';
import { OwnReports } from './own-reports.ts';

const report = (queueWaitMs: number, receivedAtMs = 1_000) => ({ podUid: 'a', queueWaitMs, receivedAtMs });

describe('reports of pods about themselves', () => {
  it('count for two seconds', () => {
    const reports = new OwnReports();
    reports.take(report(12));
    expect(reports.latest('pod/a', 3_000)?.queueWaitMs).toBe(12);
    expect(reports.latest('pod/a', 3_001)?.queueWaitMs).toBeUndefined();
    expect(reports.latest('pod/b', 1_000)?.queueWaitMs).toBeUndefined();
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1])('of %s are none', (wait) => {
    const reports = new OwnReports();
    reports.take(report(wait));
    expect(reports.latest('pod/a', 1_000)?.queueWaitMs).toBeUndefined();
  });

  it('are cut to a minute, and forgotten with their pod', () => {
    const reports = new OwnReports();
    reports.take(report(1e300));
    expect(reports.latest('pod/a', 1_000)?.queueWaitMs).toBe(60_000);
    reports.keep((key) => key === 'pod/b');
    expect(reports.latest('pod/a', 1_000)?.queueWaitMs).toBeUndefined();
  });
});
