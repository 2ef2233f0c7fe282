import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordDifferences, recordOf } from './record.ts';
import { resolve } from './resolve.ts';

const resolved = (annotations: Record<string, unknown>) =>
  resolve({ annotations, containerNames: ['api', 'log'] });

describe('record', () => {
  it('says what was resolved, from where and what was cut', () => {
    const record = recordOf(
      resolved({
        'scx-slo.io/budget-ms': '2.50',
        'scx-slo.io/importance': '95',
        'budget-ms.scx-slo.io/log': '1000',
      }),
    );
    expect(Object.fromEntries(record)).toEqual({
      'effective.scx-slo.io/budget-ms': '2.5',
      'effective.scx-slo.io/importance': '90',
      'effective.scx-slo.io/source': 'pod',
      'effective.scx-slo.io/clamped': 'importance:95>90',
      'effective-budget-ms.scx-slo.io/log': '1000',
      'effective-importance.scx-slo.io/log': '90',
      'effective-clamped.scx-slo.io/log': 'importance:95>90',
    });
  });

  it('names a refused shed "false" among the cuts', () => {
    const record = recordOf(resolved({ 'scx-slo.io/importance': '95', 'scx-slo.io/shed': 'false' }));
    expect(record.get('effective.scx-slo.io/clamped')).toBe('importance:95>90,shed:false>true');
  });

  it('is empty where nothing has an SLO', () => {
    expect(recordOf(resolved({})).size).toBe(0);
  });

  it('finds forged, stale and missing values', () => {
    const annotations = {
      'scx-slo.io/budget-ms': '50',
      'effective.scx-slo.io/budget-ms': '1',
      'effective.scx-slo.io/clamped': 'importance:95>90',
    };
    expect(recordDifferences(annotations, resolved(annotations))).toEqual([
      { key: 'effective.scx-slo.io/budget-ms', recorded: '1', resolved: '50' },
      { key: 'effective.scx-slo.io/clamped', recorded: 'importance:95>90', resolved: undefined },
      { key: 'effective.scx-slo.io/importance', recorded: undefined, resolved: '50' },
      { key: 'effective.scx-slo.io/source', recorded: undefined, resolved: 'pod' },
    ]);
  });

  it('agrees with itself: a pod that carries its own record has no difference, and resolves the same', () => {
    const value = fc.oneof(fc.integer({ min: 0, max: 200 }).map(String), fc.string());
    const key = fc.constantFrom(
      'scx-slo.io/budget-ms',
      'scx-slo.io/importance',
      'budget-ms.scx-slo.io/api',
      'importance.scx-slo.io/log',
    );
    fc.assert(
      fc.property(fc.dictionary(key, value), (annotations) => {
        const before = resolved(annotations);
        const after = { ...annotations, ...Object.fromEntries(recordOf(before)) };
        expect(resolved(after)).toEqual(before);
        expect(recordDifferences(after, before)).toEqual([]);
      }),
    );
  });
});
