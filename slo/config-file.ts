/**
 * The standalone config file: one rule a line, `cgroup_path budget_ms importance`, for example
 * `/kubepods/critical/payment-api 50 90`. Fields are separated by blanks; a line that starts with `#` is a
 * comment. A bad line is an error with its position and costs no other line.
 */
import { checkCgroupPath } from './cgroup-path-rule.ts';
import { BUDGET_RANGE, budgetMsOf, IMPORTANCE_RANGE, importanceOf } from './grammar.ts';
import { printable } from './printable.ts';

/** Longer ones are refused unread; the longest path that a kernel takes is 4096 bytes. */
export const CONFIG_LINE_MAX_BYTES = 8192;

export interface ConfigRule {
  /** Cgroup path from the hierarchy's root, starting with `/`. */
  path: string;
  budgetMs: number;
  importance: number;
  /** From 1. */
  line: number;
}

export type ConfigErrorCode =
  | 'SLO_E_CONFIG_ENCODING'
  | 'SLO_E_CONFIG_LINE'
  | 'SLO_E_CONFIG_FIELDS'
  | 'SLO_E_CONFIG_PATH'
  | 'SLO_E_CONFIG_DUPLICATE'
  | 'SLO_E_BUDGET'
  | 'SLO_E_IMPORTANCE';

export interface ConfigError {
  code: ConfigErrorCode;
  /** From 1. */
  line: number;
  /** From 1, in characters (in bytes where the line is not UTF-8). */
  column: number;
  message: string;
}

export interface ParsedConfig {
  rules: ConfigRule[];
  errors: ConfigError[];
}

/** Never throws; takes 100,000 lines in well under a second. */
export function parseConfig(bytes: Uint8Array): ParsedConfig {
  const rules = new Map<string, ConfigRule>();
  const errors: ConfigError[] = [];
  let line = 0;
  for (const lineBytes of linesOf(bytes)) {
    line += 1;
    const parsed = parseLine(lineBytes, line);
    if (parsed === undefined) {
      continue;
    }
    if ('code' in parsed) {
      errors.push(parsed);
      continue;
    }
    const first = rules.get(parsed.rule.path);
    if (first === undefined) {
      rules.set(parsed.rule.path, parsed.rule);
    } else {
      const message = `${printable(first.path)} has a rule in line ${first.line} already; that one holds`;
      errors.push({ code: 'SLO_E_CONFIG_DUPLICATE', line, column: parsed.column, message });
    }
  }
  return { rules: [...rules.values()], errors };
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Without the line ends, LF or CR LF. */
function* linesOf(bytes: Uint8Array): Generator<Uint8Array> {
  const bom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  for (let start = bom ? 3 : 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const next = newline === -1 ? bytes.length : newline;
    const end = next > start && newline !== -1 && bytes[next - 1] === CARRIAGE_RETURN ? next - 1 : next;
    yield bytes.subarray(start, end);
    start = next + 1;
  }
}

interface ParsedLine {
  rule: ConfigRule;
  /** Of the path. */
  column: number;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const LOSSY_UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

function parseLine(bytes: Uint8Array, line: number): ParsedLine | ConfigError | undefined {
  const error = (code: ConfigErrorCode, column: number, message: string): ConfigError => ({
    code,
    line,
    column,
    message,
  });
  if (bytes.length > CONFIG_LINE_MAX_BYTES) {
    const message = `line of ${bytes.length} bytes; at most ${CONFIG_LINE_MAX_BYTES}`;
    return error('SLO_E_CONFIG_LINE', CONFIG_LINE_MAX_BYTES + 1, message);
  }
  const text = decode(bytes);
  if (typeof text === 'number') {
    return error('SLO_E_CONFIG_ENCODING', text, 'not UTF-8');
  }
  const nul = text.indexOf('\0');
  if (nul !== -1) {
    return error('SLO_E_CONFIG_ENCODING', nul + 1, 'NUL byte');
  }
  const fields = [...text.matchAll(/[^ \t]+/g)];
  if (fields[0] === undefined || fields[0][0].startsWith('#')) {
    return undefined;
  }
  return parseFields(fields, text.length, line, error);
}

type ErrorAt = (code: ConfigErrorCode, column: number, message: string) => ConfigError;

function parseFields(
  fields: readonly RegExpExecArray[],
  lineLength: number,
  line: number,
  error: ErrorAt,
): ParsedLine | ConfigError {
  const [path, budget, importance, extra] = fields;
  if (path === undefined || budget === undefined || importance === undefined) {
    const missing = budget === undefined ? 'budget_ms' : 'importance';
    const message = `${missing} is missing; a rule is: cgroup_path budget_ms importance`;
    return error('SLO_E_CONFIG_FIELDS', lineLength + 1, message);
  }
  if (extra !== undefined) {
    const hint = extra[0].startsWith('#') ? '; a comment needs a line of its own' : '';
    const message = `"${printable(extra[0], 32)}" is one field too many${hint}`;
    return error('SLO_E_CONFIG_FIELDS', extra.index + 1, message);
  }
  const fault = checkCgroupPath(path[0]);
  if (fault !== undefined) {
    return error('SLO_E_CONFIG_PATH', path.index + 1, `"${printable(path[0])}": ${fault}`);
  }
  const budgetMs = budgetMsOf(budget[0]);
  if (budgetMs === undefined) {
    const message = `budget_ms: "${printable(budget[0], 32)}" is not ${BUDGET_RANGE}`;
    return error('SLO_E_BUDGET', budget.index + 1, message);
  }
  const rank = importanceOf(importance[0]);
  if (rank === undefined) {
    const message = `importance: "${printable(importance[0], 32)}" is not ${IMPORTANCE_RANGE}`;
    return error('SLO_E_IMPORTANCE', importance.index + 1, message);
  }
  return { rule: { path: path[0], budgetMs, importance: rank, line }, column: path.index + 1 };
}

/** The text, or the column (from 1, in bytes) of the first byte that is not UTF-8. */
function decode(bytes: Uint8Array): string | number {
  try {
    return UTF8.decode(bytes);
  } catch {
    return firstBadByte(bytes) + 1;
  }
}

/** Decoding with replacement and encoding again gives the same bytes up to the first bad one. */
function firstBadByte(bytes: Uint8Array): number {
  const again = new TextEncoder().encode(LOSSY_UTF8.decode(bytes));
  const index = bytes.findIndex((byte, i) => byte !== again[i]);
  return index === -1 ? bytes.length : index;
}
