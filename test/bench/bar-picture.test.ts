import { expect, test } from 'vitest';
import { barPicture, shortNumber } from './bar-picture.ts';

const picture = {
  title: 'a & b',
  subtitle: ['Linux 7.3.4', 'what happens'],
  label: 'instructions a wake-up',
  groups: [
    {
      name: 'beside batch',
      bars: [
        { label: 'edf', values: [400, 500, 600] },
        { label: 'scx-slo', values: [1000] },
        { label: 'scx_other', values: [] },
      ],
    },
  ],
  mark: { value: 800, label: 'target' },
};

const widths = (svg: string): number[] =>
  [...svg.matchAll(/<rect class="(?:bar|ours)"[^>]* width="([\d.]+)"/g)].map((match) => Number(match[1]));

test('bars are as long as their medians, and a missing figure is said', () => {
  const svg = barPicture(picture);
  const [edf = 0, ours = 0] = widths(svg);
  expect(ours / edf).toBeCloseTo(2);
  expect(svg).toContain('no figures');
  expect(svg).toContain('a &amp; b');
  expect(svg.match(/class="range"/g)).toHaveLength(1);
});

test('without any figure it is still a picture', () => {
  expect(widths(barPicture({ ...picture, groups: [] }))).toEqual([]);
});

test('numbers keep three digits', () => {
  expect([0, 1234.5, 12.345, 0.012345].map(shortNumber)).toEqual(['0', '1235', '12.3', '0.0123']);
});
