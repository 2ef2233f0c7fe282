/** What a person sees of a result: table, checks, verdict, picture, and the README's table. Pure. */
import { percentilePicture } from '../bench/percentile-picture.ts';
import { latencyText } from '../bench/picture-axes.ts';
import { PRIMARY } from './phase-result.ts';
import type { Check, DemoResult, Measured, PhaseResult } from './result.ts';
import { batchShare } from './targets.ts';

const COLUMNS = [
  'phase',
  'scheduler',
  'requests',
  'keeps up',
  'p50',
  'p99',
  'p99.9',
  'max',
  'misses',
  '429',
  'batch CPU',
];

const row = (phase: PhaseResult, cpus: number): string[] => [
  phase.name,
  phase.scheduler,
  String(phase.requests),
  phase.sustained ? 'yes' : `no (${phase.servedPerSecond.toFixed(0)}/s)`,
  latencyText(phase.p50Ms),
  latencyText(phase.p99Ms),
  latencyText(phase.p999Ms),
  latencyText(phase.maxMs),
  String(phase.misses),
  String(phase.shed429),
  phase.batchCpuSeconds > 0 ? `${(batchShare(phase, cpus) * 100).toFixed(0)} % of the rest` : '-',
];

const rowsOf = (result: DemoResult): string[][] => [
  COLUMNS,
  ...result.phases.map((phase) => row(phase, result.cpus)),
];

export const table = (result: DemoResult): string => {
  const rows = rowsOf(result);
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((cells) => (cells[column] ?? '').length)));
  const line = (cells: string[]): string =>
    cells
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return rows.map(line).join('\n');
};

const environmentText = ({ environment, clock, kernel, cpus }: DemoResult): string =>
  `Linux ${kernel}, ${cpus} ${cpus === 1 ? 'CPU' : 'CPUs'}, ${environment === 'vm' ? 'virtual machine' : 'this machine'}, ${clock} clock`;

export const markdown = (result: DemoResult): string => {
  const [head = [], ...rows] = rowsOf(result).map((cells) => `| ${cells.join(' | ')} |`);
  const rule = `|${COLUMNS.map((_, column) => (column < 2 ? '---' : '---:')).join('|')}|`;
  return [head, rule, ...rows, '', `${environmentText(result)}.`].join('\n');
};

const list = (title: string, checks: readonly Check[], good: string, bad: string): string =>
  [title, ...checks.map(({ ok, name, detail }) => `  ${ok ? good : bad}  ${name}: ${detail}`)].join('\n');

export const checksText = (result: DemoResult): string =>
  [
    list('Is the instrument right?', result.validity, 'ok     ', 'INVALID'),
    list('Targets', result.targets, 'met    ', 'MISSED '),
  ].join('\n\n');

export const isValid = (result: DemoResult): boolean => result.validity.every((check) => check.ok);
export const isMet = (result: DemoResult): boolean => result.targets.every((check) => check.ok);

const perSecond = (phase: PhaseResult): string =>
  `${phase.servedPerSecond.toFixed(0)} of ${(phase.requests / phase.seconds).toFixed(0)} requests a second`;

const oursText = (alone: PhaseResult, ours: PhaseResult, cpus: number): string => {
  const batch = `batch work gets ${(batchShare(ours, cpus) * 100).toFixed(0)} % of the CPU that the service leaves`;
  return ours.sustained
    ? `Under scx-slo it is ${latencyText(ours.p99Ms)}, ${(ours.p99Ms / alone.p99Ms).toFixed(2)} times the value alone, and ${batch}.`
    : `Under scx-slo it does not keep up either: ${perSecond(ours)} are served (p99 ${latencyText(ours.p99Ms)}), and ${batch}.`;
};

/** One paragraph from the numbers alone. */
export const verdict = (result: DemoResult): string => {
  const phase = (name: PhaseResult['name']) => result.phases.find((candidate) => candidate.name === name);
  const [alone, plain, ours, overload] = [
    phase('alone'),
    phase('default'),
    phase('scx-slo'),
    phase('overload'),
  ];
  const sentences: string[] = [];
  if (alone !== undefined)
    sentences.push(`Alone, ${PRIMARY} answers 99 % of its requests within ${latencyText(alone.p99Ms)}.`);
  if (plain !== undefined)
    sentences.push(
      plain.sustained
        ? `Beside batch work, the kernel's default scheduler makes that ${latencyText(plain.p99Ms)}.`
        : `Beside batch work, under the kernel's default scheduler it does not keep up: ${perSecond(plain)} are served, and the queue grows.`,
    );
  if (alone !== undefined && ours !== undefined) sentences.push(oursText(alone, ours, result.cpus));
  if (overload !== undefined) {
    const primary = overload.services.find((service) => service.name === PRIMARY);
    const turnedAway = overload.services.filter((service) => service.shed429 > 0);
    sentences.push(
      `When the services want more than the node has, ${turnedAway.length === 0 ? 'nothing is turned away' : turnedAway.map(({ name, shed429, requests }) => `${name} is told 429 for ${((100 * shed429) / requests).toFixed(0)} % of its requests`).join(' and ')}, and ${PRIMARY}'s p99 is ${latencyText(primary?.p99Ms ?? Number.NaN)}.`,
    );
  }
  const missed = result.targets.filter((check) => !check.ok).map((check) => check.name);
  const invalid = result.validity.filter((check) => !check.ok).map((check) => check.name);
  if (missed.length > 0) sentences.push(`Missed: ${missed.join('; ')}.`);
  if (invalid.length > 0) sentences.push(`THE RUN IS INVALID, do not quote it: ${invalid.join('; ')}.`);
  return sentences.join(' ');
};

const CURVES: readonly { name: PhaseResult['name']; label: string }[] = [
  { name: 'alone', label: 'alone' },
  { name: 'default', label: 'default scheduler (EEVDF)' },
  { name: 'scx-slo', label: 'scx-slo' },
  { name: 'overload', label: 'scx-slo, node overloaded' },
];

export const picture = (measured: Measured, result: DemoResult): string => {
  const primary = result.pods.find((pod) => pod.name === PRIMARY);
  const load = measured.phases[0]?.services.find((service) => service.name === PRIMARY);
  const rate = load?.ratePerSecond ?? 0;
  const share = ((rate * (load?.nominalMs ?? 0)) / 10 / result.cpus).toFixed(0);
  const curves = CURVES.flatMap(({ name, label }) => {
    const stream = measured.phases
      .find((phase) => phase.name === name)
      ?.load.streams.find((one) => one.name === PRIMARY);
    const phase = result.phases.find((one) => one.name === name);
    if (stream === undefined || phase === undefined) return [];
    const isThinned = stream.sustained && !phase.sustained;
    const detail = `${stream.shed} of ${stream.offered} turned away`;
    return [
      {
        label,
        latenciesMs: stream.latenciesMs,
        sustained: phase.sustained,
        ...(isThinned ? { detail } : {}),
      },
    ];
  });
  const requests = result.phases[0]?.requests ?? 0;
  return percentilePicture({
    title: `A service that needs ${share} % of the node, beside ${measured.batchThreads} busy batch threads`,
    subtitle: [
      environmentText(result),
      `${rate} requests/s of ${load?.nominalMs} ms CPU each, open loop, ${requests} in each phase; all pods have the same cpu.weight`,
    ],
    curves,
    ...(primary?.budgetMs === undefined
      ? {}
      : { limit: { ms: primary.budgetMs, label: `budget: ${primary.budgetMs} ms of waiting for a CPU` } }),
    note: isValid(result)
      ? 'Same requests at the same times in every phase. Requests that were never answered count with their age.'
      : 'INVALID RUN: the checks of the instrument failed, see result.json.',
  });
};
