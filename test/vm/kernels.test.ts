import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultKernelName, kernels, selectKernels } from './kernels.ts';

const names = (selection: string): string[] | string => {
  const selected = selectKernels(selection);
  return selected.ok ? selected.kernels.map((kernel) => kernel.name) : selected.error;
};

test('the default exists and can enforce', () => {
  expect(kernels.find((kernel) => kernel.name === defaultKernelName)?.expectation).toBe('enforce');
});

test('every kernel is found by its name, its version and its ABI, and by nothing twice', () => {
  for (const kernel of kernels) {
    expect(names(kernel.name)).toEqual([kernel.name]);
    expect(names(kernel.abi)).toEqual([kernel.name]);
    expect(names(kernel.abi.replace(/\+.*/, ''))).toEqual([kernel.name]);
  }
});

const packaged = kernels.filter((kernel) => kernel.from === 'package').map((kernel) => kernel.name);

test.each([
  ['all', packaged],
  ['7.3 all', packaged],
  ['all 6.12', ['6.12', ...packaged]],
  ['7.3 6.16', ['6.16', '7.3']],
  ['7.3,7.3, 7.2.13 ', ['7.2.13', '7.3']],
  ['7.2', ['7.2']],
])('%j selects %j', (selection, expected) => {
  expect(names(selection)).toEqual(expected);
});

test('nothing, or an unknown name, is an error that helps', () => {
  expect(names(' ')).toBe('no kernel was named');
  expect(names('7.3 5.15')).toMatch(/unknown kernel 5\.15; known are: 6\.12 .* 7\.3 all/);
});

test('any selection is answered: known kernels in order, each once, or an error', () => {
  const word = fc.oneof(fc.constantFrom(...kernels.map((kernel) => kernel.name)), fc.string());
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const selected = selectKernels(words.join(' '));
      if (!selected.ok) {
        expect(selected.error).not.toBe('');
        return;
      }
      expect(selected.kernels).toEqual(kernels.filter((kernel) => selected.kernels.includes(kernel)));
      expect(selected.kernels.length).toBeGreaterThan(0);
    }),
  );
});
