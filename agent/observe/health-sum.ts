/** The kernel side's node-wide counters over all sessions: each begins at zero, metrics must not. */
import type { KernelHealth } from '../kernel/port.ts';

const zero = (): KernelHealth => ({
  eventsDropped: 0,
  cgroupEventsDropped: 0,
  fairFallbacks: 0,
  preemptKicks: 0,
  floorPicks: 0,
  stalls: 0,
  limitChanges: 0,
  expiredDemotions: 0,
  throttles: 0,
  rescues: 0,
});

const KEYS = Object.keys(zero()) as (keyof KernelHealth)[];

export class HealthSum {
  readonly #ended = zero();
  #now = zero();

  update(health: KernelHealth): void {
    this.#now = health;
  }

  /** The session is over; what it counted last stays. */
  endSession(): void {
    for (const key of KEYS) this.#ended[key] += this.#now[key];
    this.#now = zero();
  }

  total(): KernelHealth {
    const total = zero();
    for (const key of KEYS) total[key] = this.#ended[key] + this.#now[key];
    return total;
  }
}
