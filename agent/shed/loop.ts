/**
 * One control loop: how much has to be refused because of one severity. PI with feed-forward in the log-admission
 * domain (admitted = e^-a), where a step means the same at every level. Pure.
 */

export interface Loop {
  /** The integral part, which the feed-forward pulls up. */
  a: number;
  /** With the proportional part: what is in force. */
  out: number;
  error: number;
  overloadMs: number;
  /** Since the last overload. */
  quietMs: number;
  /** Overload without a second's rest. */
  besetMs: number;
}

export interface LoopInput {
  severity: number;
  /** The severity was measured since the last step. */
  isNews: boolean;
  /** A resource is saturated; without that a severity is the application's own affair. */
  confirmed: boolean;
  /** -ln(admitted share) that the model asks for: demand over capacity. */
  feedForward: number;
  /** What may be refused beyond the feed-forward for long; undefined: HARM_MARGIN. */
  beyond: number | undefined;
  /** Busy share of the CPUs: of this step, and over some steps. */
  busy: number;
  busyMean: number;
}

export const IDLE_LOOP: Loop = { a: 0, out: 0, error: 0, overloadMs: 0, quietMs: 60_000, besetMs: 0 };

/** The share of the CPUs that requests can use while waits stay short. */
export const USABLE = 0.93;
/** From here on a CPU is no longer there when somebody needs it. */
export const SATURATED = 0.95;
/** Never all: a few requests must pass, or nobody would see that things are better. */
export const MAX_SHED = 0.95;

const MAX_A = 3.9;
const MAX_ERROR = 2;
const PROPORTIONAL = 0.7;
const INTEGRAL_PER_S = 0.8;
/** An error that shrinks faster is a backlog being worked off: integrating over it would shed too much. */
const SHRINKING = 0.05;
/** Trouble must last beyond one step first: a burst is no overload. */
const BURST_MS = 300;
const ATTACK_TAU_S = 0.2;
const HOLD_MS = 500;
const RELEASE_TAU_S = 1;
/** Below the feed-forward the loop only feels its way. */
const RELEASE_PER_S = 0.05;
const CALM_SEVERITY = 0.6;
const IDLE = 0.8;
const SPARE = 0.04;
/** Refusing much more than the model says harms without helping: then it is not this load that fills the node. */
const HARM_AFTER_MS = 3_000;
const HARM_MARGIN = 0.15;
const REST_MS = 1_000;
const NOTHING_BELOW_A = 0.01;

export const shedOf = (a: number): number => 1 - Math.exp(-a);
export const aOf = (shed: number): number => -Math.log(1 - Math.min(0.98, Math.max(0, shed)));

const released = (a: number, { feedForward, busyMean }: LoopInput, dtS: number): number => {
  const towards = a > feedForward ? a - (a - feedForward) * Math.min(1, dtS / RELEASE_TAU_S) : a;
  const mayProbe = feedForward === 0 || busyMean < USABLE - SPARE;
  return mayProbe ? towards - RELEASE_PER_S * dtS : towards;
};

const attacked = (before: Loop, input: LoopInput, error: number, dtS: number): number => {
  const { feedForward, isNews } = input;
  const grows = isNews && error >= before.error - SHRINKING;
  const a = grows ? before.a + INTEGRAL_PER_S * Math.min(MAX_ERROR, error) * dtS : before.a;
  return feedForward > a ? a + (feedForward - a) * Math.min(1, dtS / ATTACK_TAU_S) : a;
};

/** Between calm and trouble: hold, but never for good what the model does not ask for. */
const crept = (a: number, feedForward: number, dtS: number): number =>
  a > feedForward ? Math.max(feedForward, a - RELEASE_PER_S * dtS) : a;

const kept = (a: number): number => (a < NOTHING_BELOW_A ? 0 : Math.min(a, MAX_A));

const moved = (before: Loop, input: LoopInput, error: number, quietMs: number, dtS: number): number => {
  if (error > 0) return attacked(before, input, error, dtS);
  const isCalm = quietMs >= HOLD_MS && input.severity < CALM_SEVERITY;
  if (isCalm || input.busy < IDLE) return released(before.a, input, dtS);
  return crept(before.a, input.feedForward, dtS);
};

/** Without an error it stays as it is, but for the time that passes. */
export const isIdle = ({ a, out, quietMs }: Loop): boolean => a === 0 && out === 0 && quietMs >= REST_MS;

/** @param dtMs 0 .. 1000 */
export const stepLoop = (before: Loop, input: LoopInput, dtMs: number): Loop => {
  const error = input.confirmed ? Math.max(0, Math.log(input.severity)) : 0;
  const isOver = error > 0;
  const overloadMs = isOver ? before.overloadMs + dtMs : 0;
  const quietMs = isOver ? 0 : before.quietMs + dtMs;
  const besetMs = isOver ? before.besetMs + dtMs : quietMs >= REST_MS ? 0 : before.besetMs;
  const times = { error, overloadMs, quietMs, besetMs };
  const armed = before.a > 0 || overloadMs >= BURST_MS;
  if (!armed) return { a: 0, out: 0, ...times };
  const most =
    besetMs > HARM_AFTER_MS ? aOf(shedOf(input.feedForward) + (input.beyond ?? HARM_MARGIN)) : MAX_A;
  const a = Math.min(most, kept(moved(before, input, error, quietMs, dtMs / 1000)));
  return { a, out: Math.min(most, MAX_A, a + PROPORTIONAL * Math.min(MAX_ERROR, error)), ...times };
};
