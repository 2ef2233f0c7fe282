import fc from 'fast-check';
import { expect, test } from 'vitest';
import { percentilePicture } from './percentile-picture.ts';
import { latencyAxis, latencyText, nines, percentileAxis, spreadLabels } from './picture-axes.ts';

const box = { left: 0, top: 0, right: 300, bottom: 400 };
const rising = Array.from({ length: 2000 }, (_, i) => 4 + i / 100);

test('each nine is as wide as the one before', () => {
  expect(nines(0.99)).toBeCloseTo(2, 9);
  const x = percentileAxis(box);
  expect([0, 0.9, 0.99, 0.999].map((share) => Math.round(x(share)))).toEqual([0, 100, 200, 300]);
});

test('latencies rise upwards on round ticks', () => {
  const axis = latencyAxis(box, 4, 50);
  expect(axis.ticks.map((tick) => tick.label)).toEqual(['5 ms', '10 ms', '20 ms', '50 ms']);
  expect(axis.y(5)).toBeGreaterThan(axis.y(50));
  expect(latencyAxis(box, 3, 6000).ticks.map((tick) => tick.label)).toEqual(['10 ms', '100 ms', '1 s']);
});

test('latencies read well', () => {
  expect([0.25, 4, 9.96, 17.4, 1234, 62_000].map(latencyText)).toEqual([
    '0.3 ms',
    '4 ms',
    '10 ms',
    '17 ms',
    '1.2 s',
    '62 s',
  ]);
});

test('labels never overlap, keep their order and stay inside', () => {
  const wantedPlaces = fc.uniqueArray(fc.integer({ min: 0, max: 380 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(wantedPlaces, (wanted) => {
      const placed = spreadLabels(wanted, 42, 400);
      const inOrder = wanted.map((want, i) => ({ want, y: placed[i] ?? Number.NaN }));
      inOrder.sort((a, b) => a.want - b.want);
      const gaps = inOrder.slice(1).map(({ y }, i) => y - (inOrder[i]?.y ?? Number.NaN));
      for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(42);
      expect(Math.max(...placed)).toBeLessThanOrEqual(400);
    }),
  );
});

test('a curve passes through its own percentiles', () => {
  const svg = percentilePicture({
    title: 't',
    subtitle: ['s'],
    curves: [{ label: 'a', latenciesMs: rising, sustained: true }],
  });
  const path = /class="curve"[^>]* d="M([^"]+)"/
    .exec(svg)?.[1]
    ?.split('L')
    .map((pair) => pair.split(' ').map(Number));
  expect(path?.length).toBeGreaterThan(200);
  const tickY = (label: string): number =>
    Number(new RegExp(`y="([0-9.]+)" class="soft"[^>]*>${label}<`).exec(svg)?.[1]) - 5;
  // The slowest of 2,000 lies at 23.99 ms, the median at 13.99 ms: between the ticks for 10 and 20 ms.
  const middle = path?.find(([x]) => (x ?? 0) > 82 + (715 - 82) * (nines(0.5) / 3))?.[1] ?? 0;
  expect(middle).toBeLessThan(tickY('10 ms'));
  expect(middle).toBeGreaterThan(tickY('20 ms'));
  expect(path?.at(-1)?.[1]).toBeLessThan(tickY('20 ms'));
  for (const [i, point] of (path ?? []).entries())
    expect(point[1]).toBeLessThanOrEqual(path?.[i - 1]?.[1] ?? 1e9);
});

test('a phase that was not sustained is dashed and says so; text is escaped; empty curves are left out', () => {
  const svg = percentilePicture({
    title: 'a < b & "c"',
    subtitle: ['s'],
    limit: { ms: 20, label: 'budget 20 ms' },
    note: 'n',
    curves: [
      { label: 'fine', latenciesMs: rising, sustained: true },
      { label: 'lost', latenciesMs: rising.map((ms) => ms * 200), sustained: false },
      { label: 'nothing', latenciesMs: [], sustained: true },
    ],
  });
  expect(svg).toContain('a &lt; b &amp; &quot;c&quot;');
  expect(svg.match(/class="curve"/g)).toHaveLength(2);
  expect(svg.match(/stroke-dasharray="9 5"/g)).toHaveLength(1);
  expect(svg).toContain('not sustained');
  expect(svg).toContain('budget 20 ms');
  expect(svg).not.toContain('nothing');
  expect(svg).not.toContain('NaN');
});
