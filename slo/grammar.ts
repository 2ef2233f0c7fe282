/**
 * The grammar of every value that a person writes: a regular expression, then a range. No trimming and no
 * leniency, the same in annotations and in the config file: what one surface takes, all take.
 */
import { printable } from './printable.ts';
import type { SloMode, SloProblem } from './slo.ts';

export const BUDGET_MIN_MS = 1;
export const BUDGET_MAX_MS = 10_000;
export const BUDGET_DEFAULT_MS = 100;
export const IMPORTANCE_MIN = 1;
export const IMPORTANCE_MAX = 100;
export const IMPORTANCE_DEFAULT = 50;

export const INJECTIONS = ['endpoint', 'sidecar'] as const;
export type Injection = (typeof INJECTIONS)[number];

const BUDGET = /^[0-9]{1,5}(\.[0-9]{1,3})?$/;
const IMPORTANCE = /^[0-9]{1,3}$/;
const PERCENT = /^[0-9]{1,3}$/;
const PORT = /^[0-9]{1,5}$/;
const MODES: readonly SloMode[] = ['observe', 'advisory', 'enforce'];

/** Decimal milliseconds, at most three digits after the point (1 us). */
export function parseBudgetMs(key: string, value: unknown): number | SloProblem {
  const budgetMs = budgetMsOf(value);
  return budgetMs ?? badValue('SLO_E_BUDGET', key, value, BUDGET_RANGE);
}

export function parseImportance(key: string, value: unknown): number | SloProblem {
  const importance = importanceOf(value);
  return importance ?? badValue('SLO_E_IMPORTANCE', key, value, IMPORTANCE_RANGE);
}

export const BUDGET_RANGE = `${BUDGET_MIN_MS} .. ${BUDGET_MAX_MS} (decimal ms)`;
export const IMPORTANCE_RANGE = `${IMPORTANCE_MIN} .. ${IMPORTANCE_MAX} (integer)`;

/** The value in milliseconds, or undefined where it is not one; for callers with messages of their own. */
export function budgetMsOf(value: unknown): number | undefined {
  return numberIn(value, BUDGET, BUDGET_MIN_MS, BUDGET_MAX_MS);
}

export function importanceOf(value: unknown): number | undefined {
  return numberIn(value, IMPORTANCE, IMPORTANCE_MIN, IMPORTANCE_MAX);
}

export function parseMode(key: string, value: unknown): SloMode | SloProblem {
  const mode = MODES.find((known) => known === value);
  return mode ?? badValue('SLO_E_MODE', key, value, MODES.join(', '));
}

export function parseShed(key: string, value: unknown): boolean | SloProblem {
  if (value === 'true' || value === 'false') {
    return value === 'true';
  }
  return badValue('SLO_E_SHED', key, value, '"true", "false"');
}

/** Per cent of a node's CPUs that a namespace's pods may reserve above their requests. */
export function parsePercent(key: string, value: unknown): number | SloProblem {
  return numberIn(value, PERCENT, 0, 100) ?? badValue('SLO_E_CAP', key, value, '0 .. 100 (integer)');
}

/** Of a cap: exactly `"true"` or `"false"`. */
export function parseAllowed(key: string, value: unknown): boolean | SloProblem {
  return value === 'true' || value === 'false'
    ? value === 'true'
    : badValue('SLO_E_CAP', key, value, '"true", "false"');
}

export function parseInject(key: string, value: unknown): Injection | SloProblem {
  const injection = INJECTIONS.find((known) => known === value);
  return injection ?? badValue('SLO_E_INJECT', key, value, INJECTIONS.join(', '));
}

/** The port on which the application listens, for the sidecar. */
export function parseAppPort(key: string, value: unknown): number | SloProblem {
  return numberIn(value, PORT, 1, 65_535) ?? badValue('SLO_E_INJECT', key, value, '1 .. 65535 (integer)');
}

function numberIn(value: unknown, shape: RegExp, min: number, max: number): number | undefined {
  if (typeof value !== 'string' || !shape.test(value)) {
    return undefined;
  }
  const number = Number(value);
  return number >= min && number <= max ? number : undefined;
}

/** Key, value and allowed range in one line; short, because an API server cuts long warnings. */
function badValue(code: SloProblem['code'], key: string, value: unknown, allowed: string): SloProblem {
  const shown =
    typeof value === 'string'
      ? `"${printable(value, 24)}"`
      : `${printable(value, 24)} (not a string: quote it)`;
  return {
    code,
    key: printable(key, 128),
    value: printable(value),
    message: `${printable(key, 80)}: ${shown} is not ${allowed}; ignored`,
  };
}
