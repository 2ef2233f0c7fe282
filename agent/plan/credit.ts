/** How much CPU time a slot may save up while it is idle. */

/** A small pod's requests come in clumps, too: three in a row at several milliseconds each must not exhaust it. */
const MIN_CAP_NS = 50e6;
/** A garbage collection or a clump of requests, at several times the mean, fits into half a second's worth. */
const MIN_WINDOW_NS = 500e6;
const BUDGETS_IN_WINDOW = 8;

/**
 * A service that was idle may spend this much in the deadline tier at once: enough for a burst of several budgets,
 * too little to starve others for long.
 */
export const creditCapNs = (budgetNs: number, reservedCpus: number): number =>
  Math.round(Math.max(MIN_CAP_NS, Math.max(MIN_WINDOW_NS, BUDGETS_IN_WINDOW * budgetNs) * reservedCpus));
