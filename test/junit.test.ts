import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromJunit, type TestOutcome, toJunit } from './junit.ts';

/** Text that XML 1.0 can hold. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what XML cannot hold
const unfit = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;
const xmlText = fc.string({ unit: 'binary' }).map((text) => text.toWellFormed().replaceAll(unfit, ''));

const outcome: fc.Arbitrary<TestOutcome> = fc
  .record({
    group: xmlText,
    name: xmlText,
    seconds: fc.integer({ min: 0, max: 10_000_000 }).map((ms) => ms / 1000),
    state: fc.constantFrom('passed', 'failed', 'skipped'),
    detail: xmlText,
  })
  .map((made) =>
    made.state === 'passed' ? { ...made, detail: '' } : { ...made, detail: made.detail.trim() },
  );

test('what was written is read back', () => {
  fc.assert(
    fc.property(xmlText, fc.array(outcome), (suite, outcomes) => {
      // A failure's detail is trimmed on reading, because tools put white space around it.
      expect(fromJunit(toJunit(suite, outcomes))).toEqual(outcomes);
    }),
  );
});

test('any text is read without an exception', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const read = fromJunit(`<testsuites>${text}`);
      expect(read === undefined || Array.isArray(read)).toBe(true);
    }),
  );
});

test("other tools' forms: text inside elements, CDATA, errors, nesting, comments", () => {
  const xml = `<?xml version="1.0"?><!-- a > b --><testsuites><testsuite name='s'>
    <testcase classname="a" name="one" time="0.5"><system-out>noise</system-out></testcase>
    <testcase classname="a" name="two"><failure message="no"><![CDATA[1 < 2]]></failure></testcase>
    <testcase classname="a" name="three"><error>crashed &amp; burned</error></testcase>
    <testcase classname="a" name="&#x66;our"><skipped/></testcase>
  </testsuite></testsuites>`;
  expect(fromJunit(xml)).toEqual([
    { group: 'a', name: 'one', seconds: 0.5, state: 'passed', detail: '' },
    { group: 'a', name: 'two', seconds: 0, state: 'failed', detail: 'no\n1 < 2' },
    { group: 'a', name: 'three', seconds: 0, state: 'failed', detail: 'crashed & burned' },
    { group: 'a', name: 'four', seconds: 0, state: 'skipped', detail: '' },
  ]);
});

test.each(['', 'not XML', '<html></html>', '<testsuites><testsuite>', '<testsuites><testcase name="cut'])(
  'not a whole JUnit file: %j',
  (text) => {
    expect(fromJunit(text)).toBeUndefined();
  },
);
