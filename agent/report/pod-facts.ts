/** What there is to say to a pod's owner now, as facts: what is new of them becomes Events. Pure. */
import { clampText } from '../../slo/record.ts';
import type { Slo } from '../../slo/slo.ts';
import type { ModeCode } from '../node-mode.ts';
import type { Plan } from '../plan/plan.ts';
import { type PodReference, type PodTarget, podReference, type TargetSnapshot } from '../pods/target.ts';
import type { NodeStatus } from './reporter.ts';

export const POD_EVENT_REASONS = [
  /** The SLO is in the kernel. */
  'SLOApplied',
  /** The namespace allows less than was asked for. */
  'SLOClamped',
  /** A value is none that can be used. */
  'SLOInvalid',
  /** The webhook's record is not what holds. */
  'SLODrift',
  /** Two pods claim one cgroup. */
  'SLOConflict',
  /** Measured, not enforced. */
  'SLOUnenforceable',
] as const;
export type PodEventReason = (typeof POD_EVENT_REASONS)[number];

export interface PodFact {
  type: 'Normal' | 'Warning';
  reason: PodEventReason;
  note: string;
}

export interface PodFacts {
  pod: PodReference;
  facts: PodFact[];
}

const REASON_OF_ERROR: Readonly<Record<string, PodEventReason>> = {
  SLO_E_DRIFT: 'SLODrift',
  SLO_E_CONFLICT: 'SLOConflict',
};

/** It ends by itself within seconds or minutes; the Node's own events tell it. */
const PASSING: ReadonlySet<ModeCode> = new Set(['HotplugReload', 'BackOff']);

const warning = (reason: PodEventReason, note: string): PodFact => ({ type: 'Warning', reason, note });

const sloText = ({ budgetMs, importance, source }: Slo): string =>
  `budget ${budgetMs} ms, importance ${importance} (from ${source})`;

const clampFacts = ({ namespace, slo, containers }: PodTarget): PodFact[] => {
  const own = (slo?.clamped ?? []).map(clampText);
  const ofContainers = containers.flatMap(({ name, slo: containerSlo }) =>
    (containerSlo?.clamped ?? []).map((clamp) => `${name} ${clampText(clamp)}`),
  );
  const all = [...own, ...ofContainers];
  return all.length === 0
    ? []
    : [warning('SLOClamped', `namespace ${namespace} allows less: ${all.join(', ')}`)];
};

const wantsEnforcement = (slo: Slo | undefined): boolean =>
  slo !== undefined && (slo.mode === undefined || slo.mode === 'enforce');

const modeFacts = ({ slo, containers }: PodTarget, { mode }: NodeStatus): PodFact[] => {
  const wants = wantsEnforcement(slo) || containers.some((container) => wantsEnforcement(container.slo));
  const { reason } = mode;
  const lasts = mode.wanted === 'enforce' && mode.mode !== 'enforce' && reason !== undefined;
  if (!wants || !lasts || PASSING.has(reason.code)) return [];
  return [
    warning('SLOUnenforceable', `the node is in mode ${mode.mode} (${reason.code}): not enforced here`),
  ];
};

const hasSlo = ({ slo, containers }: PodTarget): boolean =>
  slo !== undefined || containers.some((container) => container.slo !== undefined);

const appliedText = ({ slo, containers }: PodTarget): string =>
  [
    ...(slo === undefined ? [] : [sloText(slo)]),
    ...containers.flatMap(({ name, slo: own }) => (own === undefined ? [] : [`${name}: ${sloText(own)}`])),
  ].join('; ');

/** Of pods whose cgroup has its slot. */
const slotFacts = (pod: PodTarget, planned: ReadonlySet<string>, plan: Plan): PodFact[] => {
  if (!hasSlo(pod)) return [];
  if (planned.has(pod.uid)) return [{ type: 'Normal', reason: 'SLOApplied', note: appliedText(pod) }];
  const isEvicted = plan.evicted.length > 0 && !plan.unresolved.includes(pod);
  return isEvicted ? [warning('SLOUnenforceable', 'all slots in the kernel are taken')] : [];
};

/** By UID; pods of which there is nothing to say are left out. */
export const podFacts = (
  plan: Plan,
  { targets, errors }: TargetSnapshot,
  status: NodeStatus,
): Map<string, PodFacts> => {
  const planned = new Set(plan.slots.flatMap(({ owner }) => (owner.kind === 'pod' ? [owner.pod.uid] : [])));
  const found = new Map<string, PodFacts>();
  const add = (pod: PodReference, facts: readonly PodFact[]): void => {
    if (facts.length === 0) return;
    const known = found.get(pod.uid) ?? { pod: podReference(pod), facts: [] };
    known.facts.push(...facts);
    found.set(pod.uid, known);
  };
  for (const target of targets) {
    if (target.kind !== 'pod') continue;
    add(target, slotFacts(target, planned, plan));
    if (hasSlo(target)) add(target, [...clampFacts(target), ...modeFacts(target, status)]);
  }
  for (const { pod, code, message } of errors)
    if (pod !== undefined) add(pod, [warning(REASON_OF_ERROR[code] ?? 'SLOInvalid', message)]);
  return found;
};

export interface News extends PodFact {
  pod: PodReference;
}

/** Remembers what was said of whom. */
export class FactMemory {
  #told = new Map<string, Set<string>>();
  #state: 'first' | 'later' = 'first';

  /**
   * @param now all that there is.
   * @returns what is new; of the first facts only the warnings, because an agent that starts again applies nothing new.
   */
  news(now: ReadonlyMap<string, PodFacts>): News[] {
    const isFirst = this.#state === 'first';
    this.#state = 'later';
    const news: News[] = [];
    const told = new Map<string, Set<string>>();
    for (const [uid, { pod, facts }] of now) {
      const before = this.#told.get(uid);
      told.set(uid, new Set(facts.map(keyOf)));
      for (const fact of facts) {
        const isQuiet = isFirst && fact.type === 'Normal';
        if (!isQuiet && before?.has(keyOf(fact)) !== true) news.push({ ...fact, pod });
      }
    }
    this.#told = told;
    return news;
  }
}

const keyOf = ({ reason, note }: PodFact): string => `${reason} ${note}`;
