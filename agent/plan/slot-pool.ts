/** Which slot numbers are free. A released one rests before it is handed out again. No I/O. */
import { FIRST_SLOT } from './capacity.ts';
import { PODS_SLOT } from './plan.ts';

/** A task may have read the old slot number just before it was released, and count into it once more. */
export const REST_MS = 1_000;

export class SlotPool {
  /** Used before, and rested. */
  readonly #free: number[] = [];
  /** In the order of their release. */
  #resting: { slot: number; untilMs: number }[] = [];
  #nextUnused = FIRST_SLOT;
  /** Infinite while it is taken. */
  #podsSlotFreeAtMs = 0;
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** @param fixed PODS_SLOT, or undefined for any other. @returns undefined where none is free now. */
  take(fixed: number | undefined, nowMs: number): number | undefined {
    if (fixed === PODS_SLOT) {
      if (nowMs < this.#podsSlotFreeAtMs) return undefined;
      this.#podsSlotFreeAtMs = Number.POSITIVE_INFINITY;
      return PODS_SLOT;
    }
    this.#wake(nowMs);
    const rested = this.#free.pop();
    if (rested !== undefined) return rested;
    if (this.#nextUnused >= this.#capacity) return undefined;
    this.#nextUnused += 1;
    return this.#nextUnused - 1;
  }

  release(slot: number, nowMs: number): void {
    const untilMs = nowMs + REST_MS;
    if (slot === PODS_SLOT) this.#podsSlotFreeAtMs = untilMs;
    else this.#resting.push({ slot, untilMs });
  }

  /** The release did not happen: nobody else may have the slot. */
  keep(slot: number): void {
    if (slot === PODS_SLOT) this.#podsSlotFreeAtMs = Number.POSITIVE_INFINITY;
    else this.#resting = this.#resting.filter((resting) => resting.slot !== slot);
  }

  /** When a slot that rests now is free again, or it makes sense to look again. */
  nextFreeMs(nowMs: number): number {
    const slotMs = this.#resting[0]?.untilMs ?? Number.POSITIVE_INFINITY;
    const podsSlotMs = this.#podsSlotFreeAtMs > nowMs ? this.#podsSlotFreeAtMs : Number.POSITIVE_INFINITY;
    const soonestMs = Math.min(slotMs, podsSlotMs);
    return Number.isFinite(soonestMs) ? soonestMs : nowMs + REST_MS;
  }

  #wake(nowMs: number): void {
    let awake = 0;
    for (const { slot, untilMs } of this.#resting) {
      if (untilMs > nowMs) break;
      this.#free.push(slot);
      awake += 1;
    }
    if (awake > 0) this.#resting = this.#resting.slice(awake);
  }
}
