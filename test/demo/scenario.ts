/** The numbers of the demo: what is called how often, for how long. */

/** A schedule as ordinary as a short one can be: replayed, its p50 and p99 are within 1 % of the law's (tested). */
export const SEED = 366;

/** CPU of one request, HTTP included; with the rate it makes the share of each CPU that a service needs. */
export const CHECKOUT = { name: 'checkout', nominalMs: 4, ratePerSecondPerCpu: 100 } as const;

/** Joins in the overload phase: together they want 130 % of the node. */
export const RECOMMENDATIONS = { name: 'recommendations', nominalMs: 10, ratePerSecondPerCpu: 90 } as const;

export const BATCH = ['batch-a', 'batch-b', 'batch-c'] as const;
export const BATCH_THREADS_PER_CPU = 4;

export const WARM_UP_SECONDS = 2;
export const PHASE_SECONDS = 12;
/** Opened before a phase, per worker: as many as can be outstanding when a service gets a quarter of the node. */
export const QUIET_CONNECTIONS = 64;
export const BUSY_CONNECTIONS = 600;

/** Idle time after the agent's start, and after the load generator's before its first request; cheap on the virtual clock. */
export const SETTLE_SECONDS = 4;
