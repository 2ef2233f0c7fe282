/** The agent's side of the simulation: the real controller, fed from the simulated counters. */
import { RollingWaits } from '../../agent/observe/rolling-waits.ts';
import { step } from '../../agent/shed/level.ts';
import type { PodSample } from '../../agent/shed/severity.ts';
import { NO_SHED, type ShedState } from '../../agent/shed/shed-state.ts';
import { slotSampleOf } from '../../agent/shed/slot-sample.ts';
import type { Cpus } from './cpus.ts';
import type { SimPod } from './pod.ts';

/** From `fromMs` to `toMs` a feed does not move. */
export interface Freeze {
  feed: 'kernel' | 'all';
  fromMs: number;
  toMs: number;
}

/** As the agent keeps it (observe/ledger.ts). */
const SPANS = 5;
const REPORT_FRESH_MS = 2_000;

interface Followed {
  pod: SimPod;
  waits: RollingWaits;
  hist: Uint32Array;
  waitMs: number;
  bursts: number;
  misses: number;
  ranMs: number;
  pressedMs: number;
  queueWaitMs: number;
  reportedAtMs: number;
}

export class SimController {
  readonly #followed: Followed[];
  readonly #cpus: Cpus;
  readonly #freezes: readonly Freeze[];
  #state: ShedState = NO_SHED;
  #busyMs = 0;
  #steppedAtMs = 0;

  constructor(pods: readonly SimPod[], cpus: Cpus, tickMs: number, freezes: readonly Freeze[]) {
    this.#cpus = cpus;
    this.#freezes = freezes;
    this.#followed = pods
      .filter(({ budgetMs }) => Number.isFinite(budgetMs))
      .map((pod) => ({
        pod,
        waits: new RollingWaits(SPANS, tickMs),
        hist: pod.meter.hist.slice(),
        waitMs: 0,
        bursts: 0,
        misses: 0,
        ranMs: 0,
        pressedMs: 0,
        queueWaitMs: 0,
        reportedAtMs: Number.NEGATIVE_INFINITY,
      }));
  }

  report(pod: SimPod, queueWaitMs: number, nowMs: number): void {
    const followed = this.#followed.find((one) => one.pod === pod);
    if (followed === undefined) return;
    followed.queueWaitMs = queueWaitMs;
    followed.reportedAtMs = nowMs;
  }

  levelOf(pod: SimPod): number {
    return Math.round((this.#state.pods.get(pod.spec.name)?.level ?? 0) * 100) / 100;
  }

  reasonOf(pod: SimPod): string {
    return this.#state.pods.get(pod.spec.name)?.reason ?? '';
  }

  /** @param entitledCpus of work without a budget. */
  tick(nowMs: number, entitledCpus: number): void {
    const dtMs = nowMs - this.#steppedAtMs;
    this.#steppedAtMs = nowMs;
    const kernelAgeMs = this.#ageMs(nowMs, ['kernel', 'all']);
    const pressureAgeMs = this.#ageMs(nowMs, ['all']);
    const busy = (this.#cpus.busyMs - this.#busyMs) / (dtMs * this.#cpus.count);
    this.#busyMs = this.#cpus.busyMs;
    const pods = this.#followed.map((followed) => this.#sample(followed, kernelAgeMs === 0, dtMs, nowMs));
    const node = { cpus: this.#cpus.count, busy, entitledCpus };
    this.#state = step(this.#state, { pods, node, kernelAgeMs, pressureAgeMs, dryRun: false }, dtMs);
  }

  #ageMs(nowMs: number, feeds: readonly Freeze['feed'][]): number {
    const freeze = this.#freezes.find(
      ({ feed, fromMs, toMs }) => feeds.includes(feed) && nowMs > fromMs && nowMs < toMs,
    );
    return freeze === undefined ? 0 : nowMs - freeze.fromMs;
  }

  #sample(followed: Followed, kernelIsFresh: boolean, dtMs: number, nowMs: number): PodSample {
    const { pod, waits } = followed;
    const { meter, spec } = pod;
    if (kernelIsFresh) {
      const counts = {
        waitMs: meter.waitMs - followed.waitMs,
        bursts: meter.bursts - followed.bursts,
        misses: meter.misses - followed.misses,
        throttleMisses: 0,
      };
      waits.add(meter.hist, followed.hist, counts, nowMs);
      followed.hist.set(meter.hist);
      followed.waitMs = meter.waitMs;
      followed.bursts = meter.bursts;
      followed.misses = meter.misses;
    }
    const pressedMs = meter.pressedMs(nowMs);
    const sample: PodSample = {
      key: spec.name,
      importance: spec.importance,
      sheddable: spec.sheddable,
      slots: [slotSampleOf(waits, spec.budgetMs, nowMs)],
      usedCpus: (meter.ranMs - followed.ranMs) / dtMs,
      requestCpus: spec.requestCpus,
      quotaCpus: undefined,
      pressure: (pressedMs - followed.pressedMs) / dtMs,
      throttled: 0,
      queueWaitMs: nowMs - followed.reportedAtMs <= REPORT_FRESH_MS ? followed.queueWaitMs : undefined,
      queueIsNews: nowMs - followed.reportedAtMs <= dtMs,
      trustsReports: spec.trustsReports,
    };
    followed.ranMs = meter.ranMs;
    followed.pressedMs = pressedMs;
    return sample;
  }
}
