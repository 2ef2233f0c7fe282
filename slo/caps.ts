/** What a namespace allows its pods at most. A cut is always recorded, never silent. */
import { MAX_IMPORTANCE_CAP_KEY, MIN_BUDGET_CAP_KEY } from './annotations.ts';
import { parseBudgetMs, parseImportance } from './grammar.ts';
import { read } from './read.ts';
import type { Clamp, Slo, SloProblem } from './slo.ts';

/** Where the namespace says nothing: 91 .. 100 are for those to whom a cluster's owner gave them. */
export const MAX_IMPORTANCE_UNCAPPED = 90;

export interface Caps {
  maxImportance: number;
  minBudgetMs: number;
}

/** A bad cap is a problem, and the cap counts as absent. */
export function readCaps(namespace: ReadonlyMap<string, unknown>, problems: SloProblem[]): Caps {
  return {
    maxImportance:
      read(namespace, MAX_IMPORTANCE_CAP_KEY, parseImportance, problems) ?? MAX_IMPORTANCE_UNCAPPED,
    minBudgetMs: read(namespace, MIN_BUDGET_CAP_KEY, parseBudgetMs, problems) ?? 0,
  };
}

export function capped(
  budgetMs: number,
  importance: number,
  caps: Caps,
): Pick<Slo, 'budgetMs' | 'importance' | 'clamped'> {
  const clamped: Clamp[] = [];
  if (budgetMs < caps.minBudgetMs) {
    clamped.push({ field: 'budget-ms', from: budgetMs, to: caps.minBudgetMs });
  }
  if (importance > caps.maxImportance) {
    clamped.push({ field: 'importance', from: importance, to: caps.maxImportance });
  }
  return {
    budgetMs: Math.max(budgetMs, caps.minBudgetMs),
    importance: Math.min(importance, caps.maxImportance),
    clamped,
  };
}
