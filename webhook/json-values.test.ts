import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countJsonValues } from './json-values.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const valuesIn = (value: unknown): number =>
  typeof value === 'object' && value !== null
    ? Object.values(value).reduce<number>((sum, inner) => sum + valuesIn(inner), 1)
    : 1;

describe('countJsonValues', () => {
  it('counts no fewer values than there are, and at most one more for each empty list or object', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        const empty = (text.match(/\{\}|\[\]/g) ?? []).length;
        const count = countJsonValues(bytes(text), Number.POSITIVE_INFINITY);
        expect(count).toBeGreaterThanOrEqual(valuesIn(JSON.parse(text)));
        expect(count).toBeLessThanOrEqual(
          valuesIn(JSON.parse(text)) + empty + (text.match(/["\\]/g) ?? []).length,
        );
      }),
    );
  });

  it('does not count what stands in strings', () => {
    expect(countJsonValues(bytes(JSON.stringify('{[,"{\\",,,'.repeat(100))), 1000)).toBe(1);
  });

  it('stops beyond the limit', () => {
    expect(countJsonValues(bytes('{},'.repeat(1000)), 10)).toBe(11);
  });
});
