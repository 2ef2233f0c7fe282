/** Horizontal bars with the range of the runs, as one self-contained SVG: readable alone, on light and dark pages. */
import { median } from './figures.ts';

export interface Bar {
  label: string;
  /** One a run; none: the bar says that there are no figures. */
  values: readonly number[];
}

export interface BarGroup {
  name: string;
  bars: readonly Bar[];
}

export interface BarPicture {
  title: string;
  subtitle: readonly string[];
  /** What a bar is, with its unit. */
  label: string;
  groups: readonly BarGroup[];
  mark?: { value: number; label: string };
}

const WIDTH = 1000;
const LEFT = 250;
const RIGHT = 860;
const TOP = 118;
const BAR = 18;
const GAP = 6;
const GROUP_GAP = 30;

const STYLE = `
  svg { color-scheme: light dark; font-family: system-ui, "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 14px; }
  .page { fill: #ffffff; } .ink { fill: #1b1f24; } .soft { fill: #59636e; } .bar { fill: #7a7f87; } .ours { fill: #0f7fd1; }
  .range { stroke: #1b1f24; stroke-width: 1.5; } .mark { stroke: #d55e00; stroke-dasharray: 5 4; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } .ink { fill: #e6edf3; } .soft { fill: #9198a1; } .range { stroke: #e6edf3; }
  }`;

const OURS = 'scx-slo';

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const text = (x: number, y: number, cls: string, content: string, extra = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${cls}"${extra}>${escapeXml(content)}</text>`;

/** Three significant digits, without an exponent. */
export const shortNumber = (value: number): string => {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return String(Number(value.toFixed(Math.min(digits, 6))));
};

const barMarks = (bar: Bar, y: number, x: (value: number) => number): string[] => {
  const name = text(LEFT - 10, y + BAR - 4, 'soft', bar.label, ' text-anchor="end"');
  if (bar.values.length === 0)
    return [name, text(LEFT + 6, y + BAR - 4, 'soft', 'no figures', ' font-size="13"')];
  const middle = median(bar.values);
  const [low, high] = [Math.min(...bar.values), Math.max(...bar.values)];
  const centre = (y + BAR / 2).toFixed(1);
  return [
    name,
    `<rect class="${bar.label === OURS ? 'ours' : 'bar'}" x="${LEFT}" y="${y}" width="${Math.max(1, x(middle) - LEFT).toFixed(1)}" height="${BAR}" rx="2"/>`,
    ...(low === high
      ? []
      : [
          `<line class="range" x1="${x(low).toFixed(1)}" x2="${x(high).toFixed(1)}" y1="${centre}" y2="${centre}"/>`,
        ]),
    text(x(high) + 8, y + BAR - 4, 'ink', shortNumber(middle), ' font-size="13"'),
  ];
};

/** The picture as SVG text. */
export const barPicture = (picture: BarPicture): string => {
  const { groups, mark } = picture;
  const highest = Math.max(
    0,
    mark?.value ?? 0,
    ...groups.flatMap(({ bars }) => bars.flatMap(({ values }) => values)),
  );
  const x = (value: number): number => LEFT + ((RIGHT - LEFT) * value) / (highest || 1);
  const marks: string[] = [];
  let y = TOP;
  for (const { name, bars } of groups) {
    marks.push(text(24, y + 12, 'ink', name, ' font-weight="600"'));
    y += GROUP_GAP - GAP;
    for (const bar of bars) {
      marks.push(...barMarks(bar, y, x));
      y += BAR + GAP;
    }
  }
  const height = y + 34;
  const markLine =
    mark === undefined
      ? []
      : [
          `<line class="mark" x1="${x(mark.value).toFixed(1)}" x2="${x(mark.value).toFixed(1)}" y1="${TOP - 4}" y2="${y}"/>`,
          text(
            Math.min(x(mark.value), RIGHT),
            y + 18,
            'soft',
            mark.label,
            ' font-size="13" text-anchor="middle"',
          ),
        ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escapeXml(picture.title)}</title>`,
    `<desc>${escapeXml(picture.subtitle.join('. '))}</desc>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}" rx="8"/>`,
    text(24, 34, 'ink', picture.title, ' font-size="20" font-weight="600"'),
    ...picture.subtitle.map((line, index) => text(24, 57 + 19 * index, 'soft', line)),
    text(24, TOP - 16, 'soft', `${picture.label}; median of the runs and their range`),
    ...marks,
    ...markLine,
    '</svg>',
    '',
  ].join('\n');
};
