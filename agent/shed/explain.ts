/** Why a level is what it is, for people: reasons name importances, never other pods. Pure. */
import type { ShedInputs } from './feed.ts';
import { type Judged, THROTTLED } from './judge.ts';
import { SATURATED } from './loop.ts';
import { budgetOf, finite, type PodSample } from './severity.ts';
import type { NodeSample } from './shed-state.ts';
import type { Ask } from './tiers.ts';

const shown = (value: number): string => value.toFixed(2);
const percent = (share: number): string => `${Math.round(share * 100)} %`;

const ownReason = ({ severity, sample }: Judged): string => {
  if (sample.throttled > THROTTLED && severity.quota >= severity.queue)
    return `its cpu.max holds it back: severity ${shown(severity.quota)}, ${percent(sample.throttled)} of periods throttled`;
  if (severity.queue >= severity.node)
    return `its own queue waits ${shown(sample.queueWaitMs ?? 0)} ms: severity ${shown(severity.queue)}`;
  return `its CPUs are taken: severity ${shown(severity.node)}, a task waits ${percent(sample.pressure ?? 0)} of the time`;
};

const askReason = (ask: Ask, sample: PodSample, busy: number): string => {
  const late = ask.severity > 1 ? 'is late' : 'was late';
  const whose =
    ask.importance === sample.importance
      ? `work of its importance ${late}`
      : `work of importance ${ask.importance} ${late}`;
  const how = ask.trusted ? ', by a trusted report' : '';
  return `${whose} (severity ${shown(ask.severity)})${how}: ${percent(ask.share)} of requests up to it must go, least important first; node busy ${percent(busy)}`;
};

const calmReason = ({ severity, sample }: Judged, node: NodeSample): string => {
  const most = Math.max(severity.node, severity.queue, severity.quota);
  if (most <= 1) return `no trouble: severity ${shown(most)}`;
  const what = `severity ${shown(most)}`;
  if (node.busy < SATURATED && sample.throttled <= THROTTLED)
    return `${what}, but no saturation: node busy ${percent(node.busy)}`;
  return `${what}, not long enough yet`;
};

/** @param ownLevel what the pod's own loop asks. */
export const reasonOf = (pod: Judged, ask: Ask | undefined, ownLevel: number, node: NodeSample): string => {
  if (ask !== undefined && ask.level > ownLevel) return askReason(ask, pod.sample, node.busy);
  return ownLevel > 0 ? ownReason(pod) : calmReason(pod, node);
};

export const inputsOf = ({ sample, severity, demandCpus }: Judged, node: NodeSample): ShedInputs => {
  const sum = (of: (slot: PodSample['slots'][number]) => number): number =>
    sample.slots.reduce((total, slot) => total + finite(of(slot)), 0);
  return {
    budgetMs: budgetOf(sample),
    waitP95Ms: Math.max(0, ...sample.slots.map((slot) => finite(slot.p95WaitMs))),
    missRatio: Math.min(
      1,
      sum((slot) => slot.misses) /
        Math.max(
          1,
          sum((slot) => slot.bursts),
        ),
    ),
    pressure: sample.pressure ?? null,
    throttled: sample.throttled,
    queueWaitMs: sample.queueWaitMs ?? null,
    severity: Math.max(severity.node, severity.quota, severity.queue),
    nodeBusy: node.busy,
    demandCpus,
  };
};
