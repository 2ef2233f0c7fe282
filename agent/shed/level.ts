/**
 * How much each pod should refuse. Pure: step(state, input) -> state. Formulas: docs/adr/0009-shed-controller.md.
 *
 * One loop for each importance: the worst of its pods, while the node's CPUs are busy, says what share of all
 * requests of its own importance and below has to go, and the least important refuse first. So a victim costs only its
 * equals and inferiors. A loop for each pod alone answers to what is its own affair: its cpu.max, its queue, CPUs that
 * only it may use. A pod refuses the most that any loop asks of it.
 */
import { NOTHING_OFFERED } from './demand.ts';
import { inputsOf, reasonOf } from './explain.ts';
import { isSettled, type Judged, judge } from './judge.ts';
import { IDLE_LOOP, type Loop, MAX_SHED, shedOf } from './loop.ts';
import { finite, NO_SEVERITY, type PodSample } from './severity.ts';
import {
  type NodeSample,
  type PodShed,
  ROUNDS_PER_DETAIL,
  type ShedInput,
  type ShedState,
} from './shed-state.ts';
import { type Ask, stepTiers } from './tiers.ts';

const BUSY_TAU_MS = 300;
const MAX_STEP_MS = 1_000;
/** Old counters: hold, then judge by pressure; nothing at all: let go. */
export const FRESH_MS = 300;
const HOLD_MS = 500;
const STALE_AFTER_MS = 2_000;
const STALE_HALF_LIFE_MS = 2_000;
const STALE_END_MS = 10_000;

export type Feed = 'kernel' | 'pressure' | 'hold' | 'gone';

export const feedOf = ({ kernelAgeMs, pressureAgeMs }: ShedInput): Feed => {
  if (kernelAgeMs <= FRESH_MS) return 'kernel';
  if (kernelAgeMs <= HOLD_MS) return 'hold';
  if (pressureAgeMs <= HOLD_MS) return 'pressure';
  return Math.min(kernelAgeMs, pressureAgeMs) <= STALE_AFTER_MS ? 'hold' : 'gone';
};

/** How a pod is judged of which nothing was or is seen; undefined: it must be looked at. */
const restingJudged = (sample: PodSample, before: PodShed | undefined, feed: Feed): Judged | undefined => {
  const judged = before?.judged;
  const stays = feed === 'kernel' && before?.level === 0 && judged?.sample === sample && isSettled(judged);
  return stays ? judged : undefined;
};

const decide = (pod: Judged, ask: Ask | undefined, input: ShedInput, feed: Feed): PodShed => {
  const { sample, severity, offered, own } = pod;
  const judged = feed === 'kernel' ? pod : undefined;
  const base = { judged, severity, offered, own, inputs: inputsOf(pod, input.node) };
  const state = feed === 'pressure' ? 'degraded' : 'ok';
  if (!sample.sheddable) return { ...base, level: 0, state, reason: 'shedding is off for this pod' };
  const ownLevel = Math.min(MAX_SHED, shedOf(own.out));
  const level = Math.max(ownLevel, ask?.level ?? 0);
  const reason = reasonOf(pod, ask, ownLevel, input.node);
  if (feed === 'pressure') return { ...base, level, state, reason: `by pressure alone: ${reason}` };
  return { ...base, level, state: level > 0 ? 'shedding' : state, reason };
};

const scaled = (loop: Loop, factor: number): Loop => ({
  ...loop,
  a: loop.a * factor,
  out: loop.out * factor,
  error: 0,
});

const scaledAll = (loops: ReadonlyMap<number, Loop>, factor: number): Map<number, Loop> =>
  new Map([...loops].map(([importance, loop]) => [importance, scaled(loop, factor)]));

/** Nothing to judge by: hold for a while, then let go. Fail open. */
const withoutFeed = (state: ShedState, input: ShedInput, feed: Feed, dtMs: number): ShedState => {
  const ageMs = Math.min(input.kernelAgeMs, input.pressureAgeMs);
  const factor = feed === 'hold' ? 1 : ageMs >= STALE_END_MS ? 0 : 0.5 ** (dtMs / STALE_HALF_LIFE_MS);
  const told =
    feed === 'hold'
      ? ({ state: 'degraded', reason: 'no fresh numbers: holding' } as const)
      : ({ state: 'stale', reason: 'no fresh numbers: letting go' } as const);
  const pods = input.pods.map((sample): [string, PodShed] => {
    const before = state.pods.get(sample.key) ?? newPod(sample, input.node);
    const level = sample.sheddable ? before.level * factor : 0;
    return [sample.key, { ...before, judged: undefined, level, own: scaled(before.own, factor), ...told }];
  });
  return {
    pods: new Map(pods),
    tiers: scaledAll(state.tiers, factor),
    trusted: scaledAll(state.trusted, factor),
    busyMean: state.busyMean,
    round: state.round + 1,
  };
};

const newPod = (sample: PodSample, node: NodeSample): PodShed => {
  const nothing = { severity: NO_SEVERITY, offered: NOTHING_OFFERED, own: IDLE_LOOP };
  const inputs = inputsOf({ sample, demandCpus: 0, ...nothing }, node);
  return { ...nothing, judged: undefined, level: 0, state: 'ok', reason: 'no trouble seen', inputs };
};

/** @param dtMs since the last step; more than a second counts as one, so that a paused agent does not jump. */
export const step = (state: ShedState, input: ShedInput, dtMs: number): ShedState => {
  const stepMs = Math.min(finite(dtMs), MAX_STEP_MS);
  const feed = feedOf(input);
  if (feed === 'hold' || feed === 'gone') return withoutFeed(state, input, feed, finite(dtMs));
  const busy = Math.min(1, finite(input.node.busy));
  const busyMean = state.busyMean + (busy - state.busyMean) * (1 - Math.exp(-stepMs / BUSY_TAU_MS));
  const domain = { busy, busyMean };
  const judged = input.pods.map((sample) => {
    const before = state.pods.get(sample.key);
    return restingJudged(sample, before, feed) ?? judge(sample, before, input, feed, domain, stepMs);
  });
  const { tiers, trusted, asks } = stepTiers(state, judged, input, domain, stepMs);
  const pods = new Map<string, PodShed>();
  judged.forEach((pod, index) => {
    const { key, importance } = pod.sample;
    const ask = asks.get(importance);
    const before = state.pods.get(key);
    const isTurn = (index + state.round) % ROUNDS_PER_DETAIL === 0;
    const stays = before?.judged === pod && before.level === 0 && ask === undefined && !isTurn;
    pods.set(key, stays ? before : decide(pod, ask, input, feed));
  });
  return { pods, tiers, trusted, busyMean, round: state.round + 1 };
};
