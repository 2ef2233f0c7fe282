/** One loop for each importance, and how the least important pay first. Pure. */
import { needCpus } from './demand.ts';
import type { Domain, Judged } from './judge.ts';
import { aOf, IDLE_LOOP, type Loop, type LoopInput, SATURATED, shedOf, stepLoop } from './loop.ts';
import { finite } from './severity.ts';
import type { ShedInput, ShedState } from './shed-state.ts';
import { type Rank, waterFill } from './water-fill.ts';

/** What reports may take from others. */
const TRUSTED_MOST = 0.15;

/** The most that any loop asks of the pods of one importance, and why. */
export interface Ask {
  level: number;
  /** Of everything up to the importance of the loop. */
  share: number;
  /** Whose loop asks, and its severity. */
  importance: number;
  severity: number;
  trusted: boolean;
}

/** All pods of one importance; those that may not be shed are victims, too. */
interface Tier extends Rank {
  severity: number;
  /** Of pods whose reports may shed others. */
  reported: number;
  hasNews: boolean;
  /** Some of its pods may be shed. */
  canShed: boolean;
}

export interface TierStep {
  tiers: Map<number, Loop>;
  trusted: Map<number, Loop>;
  /** By importance; none: nothing is asked of it. */
  asks: Map<number, Ask>;
}

const newTier = (importance: number): Tier => ({
  importance,
  demandCpus: 0,
  severity: 0,
  reported: 0,
  hasNews: false,
  canShed: false,
});

const tiersOf = (judged: readonly Judged[]): Tier[] => {
  const byImportance = new Map<number, Tier>();
  for (const { sample, severity, demandCpus } of judged) {
    const tier = byImportance.get(sample.importance) ?? newTier(sample.importance);
    byImportance.set(sample.importance, tier);
    if (sample.sheddable) {
      tier.demandCpus += demandCpus;
      tier.canShed = true;
    }
    tier.severity = Math.max(tier.severity, severity.node);
    if (!sample.trustsReports) continue;
    tier.reported = Math.max(tier.reported, severity.queue);
    tier.hasNews ||= sample.queueIsNews;
  }
  return [...byImportance.values()].sort((a, b) => a.importance - b.importance);
};

/** What does not fit: work that cannot be shed counts as far as it has a right to be done. */
const needOf = (judged: readonly Judged[], tiers: readonly Tier[], { node }: ShedInput): number => {
  const sheddable = tiers.reduce((sum, { demandCpus }) => sum + demandCpus, 0);
  const entitled = judged.reduce(
    (sum, { sample }) =>
      sample.sheddable ? sum : sum + Math.min(finite(sample.usedCpus), finite(sample.requestCpus)),
    finite(node.entitledCpus),
  );
  return needCpus(sheddable, entitled, node.cpus);
};

const raise = (asks: Map<number, Ask>, ranks: readonly Rank[], ask: Omit<Ask, 'level'>): void => {
  if (ask.share <= 0) return;
  for (const [index, level] of waterFill(ranks, ask.share).entries()) {
    const importance = ranks[index]?.importance ?? 0;
    if (level > (asks.get(importance)?.level ?? 0)) asks.set(importance, { ...ask, level });
  }
};

export const stepTiers = (
  before: ShedState,
  judged: readonly Judged[],
  input: ShedInput,
  domain: Domain,
  dtMs: number,
): TierStep => {
  const all = tiersOf(judged);
  const need = needOf(judged, all, input);
  const result: TierStep = { tiers: new Map(), trusted: new Map(), asks: new Map() };
  let demandUpTo = 0;
  const inferior: Tier[] = [];
  for (const tier of all) {
    const { importance, severity, reported, hasNews } = tier;
    demandUpTo += tier.demandCpus;
    const common: Omit<LoopInput, 'severity' | 'isNews'> = {
      confirmed: domain.busy >= SATURATED,
      feedForward: demandUpTo > 0 ? aOf(need / demandUpTo) : 0,
      beyond: undefined,
      ...domain,
    };
    const loop = stepLoop(
      before.tiers.get(importance) ?? IDLE_LOOP,
      { ...common, severity, isNews: true },
      dtMs,
    );
    const trusted = stepLoop(
      before.trusted.get(importance) ?? IDLE_LOOP,
      { ...common, severity: reported, isNews: hasNews },
      dtMs,
    );
    result.tiers.set(importance, loop);
    result.trusted.set(importance, trusted);
    const upTo = tier.canShed ? [...inferior, tier] : inferior;
    const ask = { importance, severity, trusted: false };
    // Its own kind follows only as far as the trouble lasts; a jump of the moment is for those below.
    raise(result.asks, inferior, { ...ask, share: shedOf(loop.out) });
    raise(result.asks, upTo, { ...ask, share: shedOf(inferior.length > 0 ? loop.a : loop.out) });
    const share = Math.min(TRUSTED_MOST, shedOf(trusted.out));
    raise(result.asks, inferior, { importance, severity: reported, trusted: true, share });
    if (tier.canShed) inferior.push(tier);
  }
  return result;
};
