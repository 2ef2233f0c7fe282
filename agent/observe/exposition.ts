/** Prometheus text format 0.0.4, rendered by hand: thousands of series without an object for each. */

import type { MetricSpec } from '../../slo/metric-spec.ts';
import { EXPORTED_BUCKETS, HIST_BUCKETS, upperBoundNs } from './histogram.ts';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const escapeLabel = (value: string): string =>
  /[\\"\n]/.test(value)
    ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    : value;

const escapeHelp = (help: string): string => help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

const formatValue = (value: number): string => {
  if (Number.isNaN(value)) return 'NaN';
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
};

/** `a="x",b="y"`, without braces; values in the order of the metric's labels. */
export const labelText = (names: readonly string[], values: readonly string[]): string =>
  names.map((name, index) => `${name}="${escapeLabel(values[index] ?? '')}"`).join(',');

const braces = (labels: string): string => (labels === '' ? '' : `{${labels}}`);

export const headerText = (spec: MetricSpec): string =>
  `# HELP ${spec.name} ${escapeHelp(spec.help)}\n# TYPE ${spec.name} ${spec.type}\n`;

export const sampleText = (spec: MetricSpec, values: readonly string[], value: number): string =>
  `${spec.name}${braces(labelText(spec.labels, values))} ${formatValue(value)}\n`;

/** One metric without labels, with its header. */
export const singleText = (spec: MetricSpec, value: number): string =>
  headerText(spec) + sampleText(spec, [], value);

const LE_TEXT = EXPORTED_BUCKETS.map((bucket) => `le="${upperBoundNs(bucket) / 1e9}"`);

/** @param hist counts per kernel bucket; @param sumNs what all waits add up to. */
export const histogramText = (
  spec: MetricSpec,
  values: readonly string[],
  hist: ArrayLike<number>,
  sumNs: number,
): string => {
  const labels = labelText(spec.labels, values);
  const prefix = `${spec.name}_bucket{${labels === '' ? '' : `${labels},`}`;
  let text = '';
  let count = 0;
  let bucket = 0;
  EXPORTED_BUCKETS.forEach((last, index) => {
    for (; bucket <= last; bucket += 1) count += hist[bucket] ?? 0;
    text += `${prefix}${LE_TEXT[index] ?? ''}} ${count}\n`;
  });
  for (; bucket < HIST_BUCKETS; bucket += 1) count += hist[bucket] ?? 0;
  text += `${prefix}le="+Inf"} ${count}\n`;
  return `${text}${spec.name}_sum${braces(labels)} ${sumNs / 1e9}\n${spec.name}_count${braces(labels)} ${count}\n`;
};
