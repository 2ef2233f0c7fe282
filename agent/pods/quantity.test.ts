import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMilli } from './quantity.ts';

describe('parseMilli', () => {
  it.each([
    ['250m', 250],
    ['0.5', 500],
    ['.5', 500],
    ['5.', 5000],
    ['1', 1000],
    ['+1', 1000],
    ['0', 0],
    ['2k', 2_000_000],
    ['1Ki', 1_024_000],
    ['1.5Ki', 1_536_000],
    ['1e3', 1_000_000],
    ['1E3', 1_000_000],
    ['1e-2', 10],
    ['100u', 1],
    ['1n', 1],
    ['0.0001', 1],
    ['0.1', 100],
    ['1.1', 1100],
    [2, 2000],
    [0.25, 250],
  ])('reads %j', (text, milli) => {
    expect(parseMilli(text)).toBe(milli);
  });

  it.each([
    '',
    '.',
    '-1',
    'm',
    '1 ',
    ' 1',
    '1mm',
    '1K',
    '1ki',
    '0x10',
    'NaN',
    'Infinity',
    '1e999',
    '1E',
    '١',
    '1_0',
    '9'.repeat(65),
    '9P',
    '1e99',
    null,
    true,
    {},
    [],
    Number.NaN,
    -1,
    undefined,
  ])('refuses %j', (value) => {
    expect(parseMilli(value)).toBeUndefined();
  });

  it('agrees with whole millis, however they are written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), (milli) => {
        expect(parseMilli(`${milli}m`)).toBe(milli);
        expect(parseMilli((milli / 1000).toFixed(3))).toBe(milli);
        expect(parseMilli(`${milli}e-3`)).toBe(milli);
        expect(parseMilli(`${milli}000u`)).toBe(milli);
      }),
    );
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.stringMatching(/^[0-9.eE+kKMimnu-]{0,12}$/)), (value) => {
        const milli = parseMilli(value);
        expect(milli === undefined || (Number.isSafeInteger(milli) && milli >= 0)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
