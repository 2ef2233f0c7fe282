/**
 * Overload that only the app sees: its event loop is late, or its own queue waits. The kernel's numbers miss a queue
 * that grows in front of a bounded pool. Same law as the node's controller: an integral and a proportional part in
 * -ln(admitted share), a dead band, quick up and slow down. Pure: time comes in.
 */
import { clamp } from './level.ts';

export interface GuardTargets {
  /** Lateness of the event loop that is still good, ms; undefined: not looked at. */
  eventLoopDelayMs: number | undefined;
  /** Busy share of the loop from which its lateness counts, 0 .. 1. */
  utilization: number;
  /** Wait in the app's own queue that is still good, ms; undefined: not looked at. */
  queueMs: number | undefined;
}

export interface GuardSample {
  elapsedMs: number;
  eventLoopDelayMs: number;
  /** 0 .. 1 over the last second. */
  utilization: number;
  /** undefined: the app reported none. */
  queueMs: number | undefined;
}

const KP = 0.7;
const KI_PER_S = 0.8;
const MAX_ERROR = 2;
const MAX_INTEGRAL = 3.9;
const CALM = 0.6;
const HOLD_MS = 500;
const RELEASE_MS = 1_000;
const SLOW_RELEASE_PER_S = 0.05;
const MAX_STEP_MS = 1_000;

export class LocalGuard {
  readonly #targets: GuardTargets;
  readonly #maxShed: number;
  #lastDelayMs = 0;
  #integral = 0;
  #overloadedSamples = 0;
  #calmMs = 0;
  #shed = 0;

  constructor(targets: GuardTargets, maxShed: number) {
    this.#targets = targets;
    this.#maxShed = maxShed;
  }

  /** Share to reject, 0 .. maxShed. */
  get shed(): number {
    return this.#shed;
  }

  forget(): void {
    this.#integral = 0;
    this.#shed = 0;
  }

  sample(sample: GuardSample): void {
    const stepMs = clamp(sample.elapsedMs, 0, MAX_STEP_MS);
    const severity = this.#severity(sample);
    const error = severity > 1 ? Math.min(MAX_ERROR, Math.log(severity)) : 0;
    this.#overloadedSamples = error > 0 ? this.#overloadedSamples + 1 : 0;
    this.#calmMs = error > 0 ? 0 : this.#calmMs + stepMs;
    const armed = this.#integral > 0 || this.#overloadedSamples >= 2;
    if (error > 0 && armed) this.#integral += (KI_PER_S * error * stepMs) / 1000;
    else if (severity < CALM && this.#calmMs > HOLD_MS) this.#release(stepMs);
    this.#integral = clamp(this.#integral, 0, MAX_INTEGRAL);
    const exponent = this.#integral + (armed ? KP * error : 0);
    this.#shed = Math.min(this.#maxShed, exponent < 0.01 ? 0 : 1 - Math.exp(-exponent));
  }

  #release(stepMs: number): void {
    const share = Math.min(1, stepMs / RELEASE_MS);
    this.#integral -= this.#integral * share + (SLOW_RELEASE_PER_S * stepMs) / 1000;
  }

  /** 1: as late as it may be. */
  #severity({ eventLoopDelayMs, utilization, queueMs }: GuardSample): number {
    const targets = this.#targets;
    // Two samples in a row: one garbage collection is no overload.
    const delayMs = Math.min(eventLoopDelayMs, this.#lastDelayMs);
    this.#lastDelayMs = eventLoopDelayMs;
    const ofLoop =
      targets.eventLoopDelayMs !== undefined && utilization >= targets.utilization
        ? delayMs / targets.eventLoopDelayMs
        : 0;
    const ofQueue = targets.queueMs !== undefined && queueMs !== undefined ? queueMs / targets.queueMs : 0;
    const severity = Math.max(ofLoop, ofQueue);
    return Number.isFinite(severity) ? severity : 0;
  }
}
