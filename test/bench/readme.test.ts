import { expect, test } from 'vitest';
import { withSection } from './readme.ts';

test('the section replaces what was between the markers, and nothing else', () => {
  const readme = 'a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nz\n';
  const once = withSection(readme, 'new');
  expect(once).toBe('a\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nz\n');
  expect(withSection(once, 'new')).toBe(once);
});

test('a README without markers is an error', () => {
  expect(() => withSection('a\n<!-- bench:end -->\n<!-- bench:begin -->\n', 'new')).toThrow('bench:begin');
});
