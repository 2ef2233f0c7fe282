import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commandScript } from './guest-command.ts';

const word = fc.string({ unit: 'binary' }).map((text) => text.toWellFormed().replaceAll('\0', ''));

test('every word and variable reaches the program unchanged', () => {
  const show = 'process.stdout.write(JSON.stringify([process.argv.slice(1), process.env.GIVEN]))';
  fc.assert(
    fc.property(fc.array(word), word, (words, value) => {
      const script = commandScript([process.execPath, '-e', show, '--', ...words], { GIVEN: value });
      expect(JSON.parse(execFileSync('/bin/sh', { input: script, encoding: 'utf8' }))).toEqual([
        words,
        value,
      ]);
    }),
    { numRuns: 20 },
  );
});

test('a name that is no variable is refused', () => {
  expect(() => commandScript(['true'], { 'A; reboot': '1' })).toThrow('A; reboot');
});
