/** Counters of a shedder, also as text for Prometheus. */

export interface ShedMetrics {
  /** What counts now, 0 .. 1: the greater of the next two. */
  level: number;
  agentLevel: number;
  localLevel: number;
  allowed: number;
  shedByAgent: number;
  shedByLocal: number;
  /** Allowed only because of dryRun. */
  wouldShed: number;
  /** Time without a level that counts in full, after the first one. */
  staleSeconds: number;
  inflight: number;
}

/** @returns the exposition format of Prometheus, without rejected requests in any latency: those are yours to leave out. */
export const metricsText = (metrics: ShedMetrics): string =>
  [
    '# HELP scx_slo_client_level Share of requests to reject.',
    '# TYPE scx_slo_client_level gauge',
    `scx_slo_client_level{source="agent"} ${metrics.agentLevel}`,
    `scx_slo_client_level{source="local"} ${metrics.localLevel}`,
    '# HELP scx_slo_client_decisions_total Requests by decision and by who asked for it.',
    '# TYPE scx_slo_client_decisions_total counter',
    `scx_slo_client_decisions_total{decision="allow",reason=""} ${metrics.allowed}`,
    `scx_slo_client_decisions_total{decision="shed",reason="agent"} ${metrics.shedByAgent}`,
    `scx_slo_client_decisions_total{decision="shed",reason="local"} ${metrics.shedByLocal}`,
    `scx_slo_client_decisions_total{decision="allow",reason="dry-run"} ${metrics.wouldShed}`,
    '# HELP scx_slo_client_stale_seconds_total Time without a level of the signal that counts in full.',
    '# TYPE scx_slo_client_stale_seconds_total counter',
    `scx_slo_client_stale_seconds_total ${metrics.staleSeconds}`,
    '# HELP scx_slo_client_inflight Requests under way.',
    '# TYPE scx_slo_client_inflight gauge',
    `scx_slo_client_inflight ${metrics.inflight}`,
    '',
  ].join('\n');
