/** The doctor's answer as text and as JSON. Pure. */
import type { ExitRecord } from '../exit-record.ts';
import type { Check, CheckStatus } from './check.ts';

export interface Diagnosis {
  /** What the node was judged by. */
  wanted: string;
  checks: readonly Check[];
  /** Newest first. */
  exits: readonly ExitRecord[];
}

const countOf = (checks: readonly Check[], status: CheckStatus): number =>
  checks.filter((check) => check.status === status).length;

export const isHealthy = ({ checks }: Diagnosis): boolean => countOf(checks, 'fail') === 0;

/** The kernel's and other programs' words: one line each, and nothing that a terminal would act on. */
const printable = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' | ').replaceAll(/[\p{Cc}]/gu, ' ');

const printableDump = (dump: string): string => dump.replaceAll(/[^\P{Cc}\n\t]/gu, ' ');

const lineOf = ({ id, status, text, next }: Check): string => {
  const end = next === undefined || next === '' ? '' : `. Next: ${next}`;
  return `${status.toUpperCase().padEnd(4)}  ${id.padEnd(19)}  ${printable(text + end)}\n`;
};

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

const dumpText = (record: ExitRecord | undefined): string => {
  if (record === undefined) return '\nno dump is kept\n';
  const { at, kernel, version, ranSeconds, reason, message } = record;
  const head = `${at}, Linux ${kernel}, scx-slo ${version}, after ${ranSeconds} s`;
  return `\n${printable(`${head}: ${reason}: ${message}`)}\n\n${printableDump(record.dump).trimEnd()}\n`;
};

/** @param dump undefined: not asked for. */
export const textReport = (
  diagnosis: Diagnosis,
  dump: { record: ExitRecord | undefined } | undefined,
): string => {
  const { checks, wanted } = diagnosis;
  const sums = [
    `${countOf(checks, 'ok')} ok`,
    count(countOf(checks, 'warn'), 'warning'),
    count(countOf(checks, 'fail'), 'failure'),
  ].join(', ');
  const verdict = `judged for mode ${wanted}: ${sums}\n`;
  return checks.map(lineOf).join('') + verdict + (dump === undefined ? '' : dumpText(dump.record));
};

export const jsonReport = (diagnosis: Diagnosis): string =>
  `${JSON.stringify({ ok: isHealthy(diagnosis), ...diagnosis }, null, 2)}\n`;
