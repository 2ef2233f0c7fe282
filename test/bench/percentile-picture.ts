/** Percentile curves as one self-contained SVG: readable alone, on light and dark pages. */
import { quantile } from './percentiles.ts';
import {
  type Box,
  type LatencyAxis,
  latencyAxis,
  latencyText,
  PERCENTILE_TICKS,
  percentileAxis,
  spreadLabels,
} from './picture-axes.ts';

export interface Curve {
  /** Shown at the line; first line of two. */
  label: string;
  latenciesMs: readonly number[];
  /** A service that does not keep up has no percentiles in the long run: drawn dashed, and said. */
  sustained: boolean;
  /** Second line of the label; default: the p99, and whether it was sustained. */
  detail?: string;
}

export interface PercentilePicture {
  title: string;
  /** What was run, in two lines at most: kernel, clock and CPUs; load. */
  subtitle: readonly string[];
  curves: readonly Curve[];
  /** A horizontal line. */
  limit?: { ms: number; label: string };
  /** One line under the picture. */
  note?: string;
}

const WIDTH = 1000;
const HEIGHT = 570;
const PLOT: Box = { left: 82, top: 112, right: 715, bottom: 480 };

/** Colour-blind safe, told apart on white and on near black. */
const COLOURS = ['#7a7f87', '#d55e00', '#0f7fd1', '#009e73', '#b5539b', '#a88600'];

const STYLE = `
  svg { color-scheme: light dark; font-family: system-ui, "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 14px; }
  .page { fill: #ffffff; } .ink { fill: #1b1f24; } .soft { fill: #59636e; } .grid { stroke: #dfe3e8; }
  .limit { stroke: #59636e; stroke-dasharray: 2 4; } .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } .ink { fill: #e6edf3; } .soft { fill: #9198a1; } .grid { stroke: #2a313a; } .limit { stroke: #9198a1; }
  }`;

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const text = (x: number, y: number, cls: string, content: string, extra = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${cls}"${extra}>${escapeXml(content)}</text>`;

/** Up to this share a curve is drawn: one slower request must remain beyond it, or the end would be one request. */
const lastShare = (requests: number): number => Math.min(0.999, Math.max(0, 1 - 1 / requests));

const curvePath = (sorted: Float64Array, x: (share: number) => number, axis: LatencyAxis): string => {
  const points: string[] = [];
  const last = lastShare(sorted.length);
  const steps = 300;
  for (let step = 0; step <= steps; step += 1) {
    // Even steps on the picture, not in share.
    const share = Math.min(last, 1 - 10 ** ((-3 * step) / steps));
    points.push(`${x(share).toFixed(1)} ${axis.y(quantile(sorted, share)).toFixed(1)}`);
    if (share === last) break;
  }
  return `M${points.join('L')}`;
};

const grid = (axis: LatencyAxis, x: (share: number) => number): string[] => [
  ...axis.ticks.flatMap(({ ms, label }) => [
    `<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${axis.y(ms).toFixed(1)}" y2="${axis.y(ms).toFixed(1)}"/>`,
    text(PLOT.left - 8, axis.y(ms) + 5, 'soft', label, ' text-anchor="end"'),
  ]),
  ...PERCENTILE_TICKS.flatMap(({ share, label }) => [
    `<line class="grid" x1="${x(share).toFixed(1)}" x2="${x(share).toFixed(1)}" y1="${PLOT.top}" y2="${PLOT.bottom}"/>`,
    text(x(share), PLOT.bottom + 20, 'soft', label, ' text-anchor="middle"'),
  ]),
  text(
    (PLOT.left + PLOT.right) / 2,
    PLOT.bottom + 44,
    'soft',
    'share of requests that were at least this fast',
    ' text-anchor="middle"',
  ),
  text(PLOT.left, PLOT.top - 12, 'soft', 'time from intended start to complete response (logarithmic)'),
];

const labels = (curves: readonly Curve[], sorted: readonly Float64Array[], axis: LatencyAxis): string[] => {
  const wanted = sorted.map((values) => axis.y(quantile(values, lastShare(values.length))));
  const placed = spreadLabels(wanted, 42, PLOT.bottom - 22);
  return curves.flatMap((curve, index) => {
    const values = sorted[index] ?? new Float64Array();
    const y = placed[index] ?? 0;
    const colour = COLOURS[index % COLOURS.length];
    const p99 = latencyText(quantile(values, 0.99));
    const usual = curve.sustained ? `p99 ${p99}` : `not sustained, p99 ${p99} and growing`;
    return [
      `<line stroke="${colour}" x1="${PLOT.right + 2}" x2="${PLOT.right + 14}" y1="${(wanted[index] ?? y).toFixed(1)}" y2="${y.toFixed(1)}"/>`,
      text(PLOT.right + 18, y, '', curve.label, ` fill="${colour}" font-weight="600"`),
      text(PLOT.right + 18, y + 17, 'soft', curve.detail ?? usual, ' font-size="13"'),
    ];
  });
};

/** The picture as SVG text. Curves without any latency are left out. */
export const percentilePicture = (picture: PercentilePicture): string => {
  const curves = picture.curves.filter((curve) => curve.latenciesMs.length > 0);
  const sorted = curves.map((curve) => Float64Array.from(curve.latenciesMs).sort());
  const lowestMs = Math.max(
    0.01,
    Math.min(...sorted.map((values) => values[0] ?? 1), picture.limit?.ms ?? 1e9),
  );
  const highestMs = Math.max(
    ...sorted.map((values) => quantile(values, lastShare(values.length))),
    picture.limit?.ms ?? 0,
    lowestMs * 2,
  );
  const axis = latencyAxis(PLOT, lowestMs, highestMs);
  const x = percentileAxis(PLOT);
  const { limit } = picture;
  const limitMarks =
    limit === undefined
      ? []
      : [
          `<line class="limit" x1="${PLOT.left}" x2="${PLOT.right}" y1="${axis.y(limit.ms).toFixed(1)}" y2="${axis.y(limit.ms).toFixed(1)}"/>`,
          text(PLOT.left + 8, axis.y(limit.ms) - 6, 'soft', limit.label, ' font-size="13"'),
        ];
  const lines = curves.map((curve, index) => {
    const dash = curve.sustained ? '' : ' stroke-dasharray="9 5"';
    const path = curvePath(sorted[index] ?? new Float64Array(), x, axis);
    return `<path class="curve" stroke="${COLOURS[index % COLOURS.length]}"${dash} d="${path}"/>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">`,
    `<title>${escapeXml(picture.title)}</title>`,
    `<desc>${escapeXml(picture.subtitle.join('. '))}</desc>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${WIDTH}" height="${HEIGHT}" rx="8"/>`,
    text(24, 34, 'ink', picture.title, ' font-size="20" font-weight="600"'),
    ...picture.subtitle.map((line, index) => text(24, 57 + 19 * index, 'soft', line)),
    ...grid(axis, x),
    ...limitMarks,
    ...lines,
    ...labels(curves, sorted, axis),
    ...(picture.note === undefined ? [] : [text(24, HEIGHT - 16, 'soft', picture.note, ' font-size="13"')]),
    '</svg>',
    '',
  ].join('\n');
};
