/** What a namespace allows its pods at most. A cut is always recorded, never silent. */
import {
  ALLOW_UNSHEDDABLE_KEY,
  MAX_IMPORTANCE_CAP_KEY,
  MAX_RESERVATION_CAP_KEY,
  MIN_BUDGET_CAP_KEY,
  TRUST_REPORTS_KEY,
} from './annotations.ts';
import { parseAllowed, parseBudgetMs, parseImportance, parsePercent } from './grammar.ts';
import { read } from './read.ts';
import type { Clamp, Slo, SloProblem } from './slo.ts';

/** Where the namespace says nothing: 91 .. 100 are for those to whom a cluster's owner gave them. */
export const MAX_IMPORTANCE_UNCAPPED = 90;

export interface Caps {
  maxImportance: number;
  minBudgetMs: number;
  /** Whether `shed: "false"` counts. */
  allowUnsheddable: boolean;
  /** Of a node's CPUs, for all pods of the namespace on it; undefined: the node's own bounds alone. */
  maxReservationPercent: number | undefined;
  /** Whether its pods' reports of their own queues count for others, too. */
  trustReports: boolean;
}

/** A bad cap is a problem, and the cap counts as absent. */
export function readCaps(namespace: ReadonlyMap<string, unknown>, problems: SloProblem[]): Caps {
  return {
    maxImportance:
      read(namespace, MAX_IMPORTANCE_CAP_KEY, parseImportance, problems) ?? MAX_IMPORTANCE_UNCAPPED,
    minBudgetMs: read(namespace, MIN_BUDGET_CAP_KEY, parseBudgetMs, problems) ?? 0,
    allowUnsheddable: read(namespace, ALLOW_UNSHEDDABLE_KEY, parseAllowed, problems) ?? false,
    maxReservationPercent: read(namespace, MAX_RESERVATION_CAP_KEY, parsePercent, problems),
    trustReports: read(namespace, TRUST_REPORTS_KEY, parseAllowed, problems) ?? false,
  };
}

/** The caps of a namespace whose annotations may have changed since: what they tighten holds, what they grant does not. */
export function withoutGrants(caps: Caps): Caps {
  return {
    ...caps,
    maxImportance: Math.min(caps.maxImportance, MAX_IMPORTANCE_UNCAPPED),
    allowUnsheddable: false,
    trustReports: false,
  };
}

/** What an SLO asks for, before the caps. */
export interface Asked {
  budgetMs: number;
  importance: number;
  shed: boolean;
  /** The cluster's owner said so, whom no namespace limits. */
  shedByCluster: boolean;
}

export function capped(
  { budgetMs, importance, shed, shedByCluster }: Asked,
  caps: Caps,
): Pick<Slo, 'budgetMs' | 'importance' | 'shed' | 'clamped'> {
  const clamped: Clamp[] = [];
  if (budgetMs < caps.minBudgetMs) {
    clamped.push({ field: 'budget-ms', from: budgetMs, to: caps.minBudgetMs });
  }
  if (importance > caps.maxImportance) {
    clamped.push({ field: 'importance', from: importance, to: caps.maxImportance });
  }
  const mustShed = !shed && !caps.allowUnsheddable && !shedByCluster;
  if (mustShed) {
    clamped.push({ field: 'shed', from: false, to: true });
  }
  return {
    budgetMs: Math.max(budgetMs, caps.minBudgetMs),
    importance: Math.min(importance, caps.maxImportance),
    shed: shed || mustShed,
    clamped,
  };
}
