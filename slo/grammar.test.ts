import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetMsOf, importanceOf, parseBudgetMs, parseImportance, parseMode, parseShed } from './grammar.ts';

const NOT_STRINGS = [undefined, null, 50, 2.5, true, {}, [], ['50'], Number.NaN];

describe('budget grammar', () => {
  it.each([
    ['1', 1],
    ['50', 50],
    ['2.5', 2.5],
    ['0001', 1],
    ['1.001', 1.001],
    ['9999.999', 9999.999],
    ['10000', 10_000],
    ['10000.000', 10_000],
  ])('takes %s', (text, budgetMs) => {
    expect(budgetMsOf(text)).toBe(budgetMs);
  });

  it.each([
    '0',
    '0.999',
    '-1',
    '+1',
    '1e99',
    '1e2',
    'NaN',
    'Infinity',
    '0x10',
    '10001',
    '10000.001',
    '100000',
    '1.2345',
    '.5',
    '5.',
    '1,5',
    '1_000',
    '50ms',
    '',
    ' ',
    ' 50',
    '50 ',
    '50\n',
    '\u066150',
    '５０',
    '5\0',
    '50\u00a0',
    'fast',
  ])('refuses %j', (text) => {
    expect(budgetMsOf(text)).toBeUndefined();
    expect(parseBudgetMs('scx-slo.io/budget-ms', text)).toMatchObject({ code: 'SLO_E_BUDGET' });
  });

  it.each(NOT_STRINGS)('refuses what is not text: %j', (value) => {
    expect(budgetMsOf(value)).toBeUndefined();
    expect(importanceOf(value)).toBeUndefined();
  });

  it('tells a person to quote a number', () => {
    expect(parseBudgetMs('scx-slo.io/budget-ms', 50)).toMatchObject({
      message: 'scx-slo.io/budget-ms: 50 (not a string: quote it) is not 1 .. 10000 (decimal ms); ignored',
    });
  });

  it('reads back what it prints', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 10_000_000 }), (us) => {
        expect(budgetMsOf(String(us / 1000))).toBe(us / 1000);
      }),
    );
  });

  it('gives a number in range or nothing, for any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.double().map(String), fc.integer().map(String)), (text) => {
        const budgetMs = budgetMsOf(text);
        expect(budgetMs === undefined || (budgetMs >= 1 && budgetMs <= 10_000)).toBe(true);
      }),
    );
  });
});

describe('importance grammar', () => {
  it.each([
    ['1', 1],
    ['50', 50],
    ['100', 100],
    ['007', 7],
  ])('takes %s', (text, importance) => {
    expect(importanceOf(text)).toBe(importance);
  });

  it.each(['0', '101', '-1', '1.0', '1e2', '0x10', 'high', '', ' 1', '1 ', '٥'])('refuses %j', (text) => {
    expect(parseImportance('scx-slo.io/importance', text)).toMatchObject({ code: 'SLO_E_IMPORTANCE' });
  });
});

describe('words', () => {
  it('takes exactly the documented ones', () => {
    expect(parseMode('scx-slo.io/mode', 'enforce')).toBe('enforce');
    expect(parseMode('scx-slo.io/mode', 'Enforce')).toMatchObject({ code: 'SLO_E_MODE' });
    expect(parseShed('scx-slo.io/shed', 'false')).toBe(false);
    expect(parseShed('scx-slo.io/shed', false)).toMatchObject({ code: 'SLO_E_SHED' });
  });

  it('keeps messages printable and short whatever the value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (value) => {
        const problem = parseMode('scx-slo.io/mode', `!${value}`);
        expect(problem).toMatchObject({ message: expect.stringMatching(/^[\x20-\x7e]{1,120}$/) });
      }),
    );
  });
});
