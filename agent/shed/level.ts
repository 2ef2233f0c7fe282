/**
 * How much each pod should refuse, first version. Pure: step(state, samples) -> state.
 *
 * A pod is in trouble when its waits or misses are too high for its budget while the node's CPUs are busy. Pods
 * in trouble shed themselves, the least important first: the next importance follows only when those below shed
 * nearly all they may. Growth is fast, release slow, and between the two thresholds the level only creeps down.
 * The level lives in the log-admission domain (admitted = e^-a), so a step means the same at every level.
 */
import { isAtWork, type PodLevel, type ShedInput, type ShedState, severityOf } from './severity.ts';

/** Never all: a few requests must pass, or nobody would see that things are better. */
export const MAX_SHED = 0.95;

const MAX_A = -Math.log(1 - MAX_SHED);
/** Per second and unit of ln(severity): with the greatest severity, from nothing to the top in a second. */
const ATTACK_PER_S = 1.5;
const MAX_ERROR = 2;
/** Trouble must last this long first: a burst is no overload. */
const BURST_MS = 400;
/** Calm must last this long before a release. */
const CALM_MS = 500;
const RELEASE_TAU_S = 2;
const RELEASE_PER_S = 0.1;
const CREEP_PER_S = 0.05;
/** Severity 1 is trouble; below this it is calm; between them the level creeps. */
const CALM_SEVERITY = 0.6;
const BUSY = 0.95;
const IDLE = 0.8;
/**
 * While less important pods are at work, a pod in trouble gives them and itself this long: what is short passes, what
 * is not reaches them first.
 */
const PATIENCE_MS = 2_500;
/** The next importance begins when those below shed this much. */
const NEARLY_ALL = 0.9;
/** Without fresh numbers: hold, then halve every two seconds, then nothing. */
const HOLD_MS = 2_000;
const STALE_HALF_LIFE_MS = 2_000;
const STALE_END_MS = 10_000;
const STALE_MS = 500;
const MAX_STEP_MS = 1_000;
const NOTHING_BELOW_A = 0.01;

/** Importances: where shedding is now, the lowest that could shed, the highest in trouble. */
interface Ranks {
  front: number;
  lowest: number;
  mostTroubled: number;
}

type Verdict = 'trouble' | 'creep' | 'calm';

interface Judged {
  key: string;
  importance: number;
  sheddable: boolean;
  severity: number;
  verdict: Verdict;
  /** It could take load off the node. */
  atWork: boolean;
  before: PodLevel;
}

const verdictOf = (severity: number, nodeBusy: number): Verdict => {
  if (nodeBusy < IDLE || severity < CALM_SEVERITY) return 'calm';
  return severity > 1 && nodeBusy >= BUSY ? 'trouble' : 'creep';
};

const NEW_POD: PodLevel = {
  a: 0,
  level: 0,
  severity: 0,
  troubleMs: 0,
  calmMs: 0,
  state: 'ok',
  reason: 'no trouble seen',
};

const withA = (pod: PodLevel, a: number): PodLevel => {
  const kept = a < NOTHING_BELOW_A ? 0 : Math.min(a, MAX_A);
  return { ...pod, a: kept, level: Math.min(MAX_SHED, 1 - Math.exp(-kept)) };
};

const told = (pod: PodLevel, reason: string): PodLevel => ({
  ...pod,
  reason,
  state: pod.level > 0 ? 'shedding' : 'ok',
});

const shown = (value: number): string => value.toFixed(2);

/** The lowest importance in trouble that can still shed more; those above wait for it. */
const frontOf = (judged: readonly Judged[]): number =>
  Math.min(
    ...judged
      .filter((pod) => pod.sheddable && pod.verdict === 'trouble' && pod.before.level < NEARLY_ALL)
      .map((pod) => pod.importance),
  );

/** Of the pods that may shed and are at work, the least important one's. */
const lowestAtWork = (judged: readonly Judged[]): number =>
  Math.min(...judged.filter((pod) => pod.sheddable && pod.atWork).map((pod) => pod.importance));

const grow = (pod: Judged, next: PodLevel, { front, lowest }: Ranks, dtS: number): PodLevel => {
  const neededMs = pod.importance > lowest ? PATIENCE_MS : BURST_MS;
  if (next.troubleMs < neededMs) return told(next, `severity ${shown(pod.severity)}, not long enough yet`);
  if (pod.importance > front) {
    return told(next, `severity ${shown(pod.severity)}, waits for importance ${front} to shed first`);
  }
  const error = Math.min(MAX_ERROR, Math.log(pod.severity));
  return told(
    withA(next, next.a + ATTACK_PER_S * error * dtS),
    `severity ${shown(pod.severity)} while the node is busy`,
  );
};

const release = (next: PodLevel, dtS: number): PodLevel => {
  if (next.a === 0) return told(next, 'no trouble');
  if (next.calmMs < CALM_MS) return told(next, 'calm, not long enough yet');
  return told(withA(next, next.a * Math.exp(-dtS / RELEASE_TAU_S) - RELEASE_PER_S * dtS), 'calm: releasing');
};

const stepPod = (pod: Judged, ranks: Ranks, dtMs: number): PodLevel => {
  const { mostTroubled } = ranks;
  const { before, severity, verdict } = pod;
  const next: PodLevel = {
    ...before,
    severity,
    troubleMs: verdict === 'trouble' ? before.troubleMs + dtMs : 0,
    calmMs: verdict === 'calm' ? before.calmMs + dtMs : 0,
  };
  const dtS = dtMs / 1000;
  if (!pod.sheddable) return told(withA(next, 0), 'shedding is off for this pod');
  if (verdict === 'trouble') return grow(pod, next, ranks, dtS);
  if (pod.importance <= mostTroubled && before.level > 0) {
    return told(next, `holds: importance ${mostTroubled} is in trouble`);
  }
  if (verdict === 'creep') {
    return told(
      withA(next, next.a - CREEP_PER_S * dtS),
      `severity ${shown(severity)}, between calm and trouble`,
    );
  }
  return release(next, dtS);
};

/** Old numbers: keep the level for a while, then let go. Fail open. */
const stepStale = (before: PodLevel, ageMs: number, dtMs: number): PodLevel => {
  if (ageMs <= HOLD_MS) return { ...before, state: 'degraded', reason: 'no fresh numbers: holding' };
  const a = ageMs >= STALE_END_MS ? 0 : before.a * 0.5 ** (dtMs / STALE_HALF_LIFE_MS);
  return {
    ...withA(before, a),
    troubleMs: 0,
    calmMs: 0,
    state: 'stale',
    reason: 'no fresh numbers: letting go',
  };
};

/** @param dtMs since the last step; more than a second counts as one, so that a paused agent does not jump. */
export const step = (state: ShedState, input: ShedInput, dtMs: number): ShedState => {
  const stepMs = Math.min(Math.max(0, dtMs), MAX_STEP_MS);
  const before = (key: string): PodLevel => state.get(key) ?? NEW_POD;
  if (input.ageMs > STALE_MS) {
    return new Map(input.pods.map(({ key }) => [key, stepStale(before(key), input.ageMs, dtMs)]));
  }
  const judged = input.pods.map((sample): Judged => {
    const severity = severityOf(sample, before(sample.key).severity, stepMs);
    const verdict = verdictOf(severity, input.nodeBusy);
    const { key, importance, sheddable } = sample;
    return { key, importance, sheddable, severity, verdict, atWork: isAtWork(sample), before: before(key) };
  });
  const troubled = judged.filter((pod) => pod.verdict === 'trouble').map((pod) => pod.importance);
  const ranks = { front: frontOf(judged), lowest: lowestAtWork(judged), mostTroubled: Math.max(...troubled) };
  return new Map(judged.map((pod) => [pod.key, stepPod(pod, ranks, stepMs)]));
};
