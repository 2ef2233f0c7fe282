/** One loop for each importance, and how the least important pay first. Pure. */
import { needCpus } from './demand.ts';
import type { Domain, Judged } from './judge.ts';
import { aOf, IDLE_LOOP, type Loop, SATURATED, shedOf, stepLoop } from './loop.ts';
import { finite } from './severity.ts';
import type { ShedInput, ShedState } from './shed-state.ts';
import { waterFill } from './water-fill.ts';

/** What reports may take from others. */
const TRUSTED_MOST = 0.15;

/** What one loop asks of each pod. */
export interface Ask {
  share: number;
  severity: number;
  importance: number;
  trusted: boolean;
  levels: ReadonlyMap<string, number>;
}

const entitlement = ({ sample }: Judged): number =>
  Math.min(finite(sample.usedCpus), finite(sample.requestCpus));

const worst = (pods: readonly Judged[], of: (pod: Judged) => number): number => Math.max(0, ...pods.map(of));

/** The loops of one step: one for each importance, and what they ask. */
export class Tiers {
  readonly tiers = new Map<number, Loop>();
  readonly trusted = new Map<number, Loop>();
  readonly asks: Ask[] = [];

  step(before: ShedState, judged: readonly Judged[], input: ShedInput, domain: Domain, dtMs: number): void {
    const sheddable = judged.filter(({ sample }) => sample.sheddable);
    const fixed = judged.filter(({ sample }) => !sample.sheddable);
    const demand = (pods: readonly Judged[]): number => pods.reduce((sum, pod) => sum + pod.demandCpus, 0);
    const entitled = finite(input.node.entitledCpus) + fixed.reduce((sum, pod) => sum + entitlement(pod), 0);
    const need = needCpus(demand(sheddable), entitled, input.node.cpus);
    for (const importance of new Set(judged.map(({ sample }) => sample.importance))) {
      const equals = judged.filter(({ sample }) => sample.importance === importance);
      const below = sheddable.filter(({ sample }) => sample.importance <= importance);
      const inferior = below.filter(({ sample }) => sample.importance < importance);
      const demandBelow = demand(below);
      const loopInput = {
        severity: worst(equals, ({ severity }) => severity.node),
        isNews: true,
        confirmed: domain.busy >= SATURATED,
        feedForward: demandBelow > 0 ? aOf(need / demandBelow) : 0,
        beyond: undefined,
        ...domain,
      };
      const loop = stepLoop(before.tiers.get(importance) ?? IDLE_LOOP, loopInput, dtMs);
      this.tiers.set(importance, loop);
      const ask = { importance, severity: loopInput.severity, trusted: false };
      // Its own kind follows only as far as the trouble lasts; a jump of the moment is for those below.
      if (inferior.length > 0) this.#ask({ ...ask, share: shedOf(loop.out) }, inferior);
      this.#ask({ ...ask, share: shedOf(inferior.length > 0 ? loop.a : loop.out) }, below);
      const reported = worst(equals, ({ sample, severity }) => (sample.trustsReports ? severity.queue : 0));
      const trusted = stepLoop(
        before.trusted.get(importance) ?? IDLE_LOOP,
        { ...loopInput, severity: reported, isNews: equals.some(({ sample }) => sample.queueIsNews) },
        dtMs,
      );
      this.trusted.set(importance, trusted);
      const share = Math.min(TRUSTED_MOST, shedOf(trusted.out));
      this.#ask({ importance, severity: reported, trusted: true, share }, inferior);
    }
  }

  #ask(ask: Omit<Ask, 'levels'>, pods: readonly Judged[]): void {
    if (ask.share <= 0) return;
    const filled = pods.map(({ sample, demandCpus }) => ({
      key: sample.key,
      importance: sample.importance,
      demandCpus,
    }));
    this.asks.push({ ...ask, levels: waterFill(filled, ask.share) });
  }
}
