/** GET /v1/pods: every pod, container and path rule with an SLO, and how it fares. Names neighbours: local only. */

import { quotaCpusOf } from '../cgroups/cgroup-files.ts';
import { targetName } from '../plan/claims.ts';
import { effectiveMode } from '../plan/desired-slot.ts';
import { callerKeyOf, type LiveSlot } from '../plan/live-slot.ts';
import type { Target } from '../pods/target.ts';
import { errorText } from '../target-store.ts';
import type { AgentView } from './agent-view.ts';
import { quantileNs } from './histogram.ts';

const ms = (ns: number): number => Math.round(ns / 1e3) / 1e3;

const ratio = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);

const slotView = (view: AgentView, { entry, meter, cpus }: LiveSlot, nowMs: number) => {
  const { desired } = entry;
  const { slo, owner } = desired;
  const recent = meter?.tenSeconds?.sum(nowMs);
  if (slo === undefined || meter === undefined || recent === undefined) return [];
  const key = callerKeyOf(owner) ?? '';
  const level = view.board.get(key);
  const node = view.mode.mode;
  return [
    {
      ...meter.series.labels,
      uid: owner.kind === 'pod' || owner.kind === 'container' ? owner.pod.uid : null,
      budgetMs: slo.budgetMs,
      importance: slo.importance,
      mode: node === 'unsupported' ? node : effectiveMode(node, slo),
      source: slo.source,
      clamped: slo.clamped,
      cgroup: desired.path,
      cgroupId: String(desired.cgroupId),
      slot: entry.slot,
      reservedCpus: entry.policy.reservedCpus,
      reservationRatio: view.reservation.ratios.get(desired.creditOf) ?? 1,
      cpus,
      /** Its own cpu.max; an ancestor's may be tighter. */
      limitCpus: quotaCpusOf(entry.policy) ?? null,
      cpuWeight: entry.policy.weight,
      cpuIdle: entry.policy.idle,
      /** Of the last ten seconds; max since the slot was assigned. */
      wait: {
        p50Ms: ms(quantileNs(recent.hist, 0.5)),
        p95Ms: ms(quantileNs(recent.hist, 0.95)),
        p99Ms: ms(quantileNs(recent.hist, 0.99)),
        maxMs: ms(meter.series.maxWaitNs),
      },
      missRatio: ratio(recent.misses, recent.bursts),
      bursts: meter.series.bursts,
      misses: meter.series.misses,
      shed: level?.shedRatio ?? 0,
      /** Differs from `shed` in a dry run only. */
      shedComputed: level?.computedRatio ?? 0,
      state: level?.state ?? 'unknown',
      reason: level?.reason ?? '',
      /** What the level was decided from; null: nothing yet. */
      shedInputs: level?.inputs ?? null,
      ...(owner.kind === 'path' ? { signalSocket: view.socketOf(desired.path) ?? null } : {}),
    },
  ];
};

const unresolvedView = (target: Target) => ({
  what: targetName(target),
  reason: 'its cgroup does not exist yet',
});

export const podsView = (view: AgentView, nowMs: number) => ({
  node: view.nodeName,
  mode: view.mode.mode,
  wantedMode: view.mode.wanted,
  modeReason: view.mode.reason ?? null,
  kernel: view.kernelVersion,
  version: view.version,
  reservationRatio: view.reservation.ratio,
  pods: [...view.live()].flatMap((live) => slotView(view, live, nowMs)),
  unresolved: view.plan.unresolved.map(unresolvedView),
  conflicts: view.plan.conflicts,
  evicted: view.plan.evicted,
  sourceErrors: [...view.sourceErrors()].flatMap(({ errors }) => errors.map(errorText)),
});
