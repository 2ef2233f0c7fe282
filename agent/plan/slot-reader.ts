/** Reads the counters of the live slots into the ledgers, often where there is an SLO and in turns elsewhere. */
import type { SlotMap, SlotStats } from '../kernel/port.ts';
import type { Ledger, Meter, SlotDelta } from '../observe/ledger.ts';
import type { ThrottleLedger } from '../observe/throttle-ledger.ts';
import { isHot, type LiveSlot, labelsOf } from './live-slot.ts';

/** What a credit owner's slots did since the last reservation step. */
export interface Demand {
  ranNs: number;
  waitNs: number;
  overMisses: number;
}

/** How much is read in one turn, at most. */
export interface ReadLimits {
  /** Slots with an SLO that did something. */
  hot: number;
  /** The others. */
  others: number;
  /** Counters of cpu.max. */
  throttles: number;
}

/** What a pod wanted of its request is believed for some seconds after it wants less. */
const SHRINK_TAU_MS = 3_000;

/** Goes on where the last turn ended; what comes and goes meanwhile does not disturb it. */
class Round {
  readonly #live: Map<bigint, LiveSlot>;
  #cursor: IterableIterator<LiveSlot>;

  constructor(live: Map<bigint, LiveSlot>) {
    this.#live = live;
    this.#cursor = live.values();
  }

  /** Until `read` answered true `count` times, or every slot was offered once. */
  turn(count: number, read: (live: LiveSlot) => boolean): void {
    let left = count;
    for (let seen = this.#live.size; seen > 0 && left > 0; seen -= 1) {
      let next = this.#cursor.next();
      if (next.done === true) {
        this.#cursor = this.#live.values();
        next = this.#cursor.next();
        if (next.done === true) return;
      }
      if (read(next.value)) left -= 1;
    }
  }
}

export class SlotReader {
  readonly #live: Map<bigint, LiveSlot>;
  readonly #slots: SlotMap;
  readonly #ledger: Ledger;
  readonly #throttles: ThrottleLedger;
  readonly #hotRound: Round;
  readonly #othersRound: Round;
  readonly #throttleRound: Round;
  #demands = new Map<bigint, Demand>();

  constructor(live: Map<bigint, LiveSlot>, slots: SlotMap, ledger: Ledger, throttles: ThrottleLedger) {
    this.#live = live;
    this.#slots = slots;
    this.#ledger = ledger;
    this.#throttles = throttles;
    this.#hotRound = new Round(live);
    this.#othersRound = new Round(live);
    this.#throttleRound = new Round(live);
  }

  turn({ hot, others, throttles }: ReadLimits, nowMs: number): void {
    // A meter has its last second where the slot is hot; most slots, those of containers, have no meter.
    this.#hotRound.turn(hot, (live) => live.meter?.second !== undefined && this.#readOne(live, nowMs));
    this.#othersRound.turn(others, (live) => live.meter?.second === undefined && this.#readOne(live, nowMs));
    this.#throttleRound.turn(throttles, (live) => this.#readThrottle(live, nowMs));
  }

  /** A last time, or before the slot counts for somebody else. */
  readNow(live: LiveSlot, nowMs: number): void {
    this.#readOne(live, nowMs);
    this.#readThrottle(live, nowMs);
  }

  readAll(nowMs: number): void {
    for (const live of this.#live.values()) this.readNow(live, nowMs);
  }

  takeDemands(): ReadonlyMap<bigint, Demand> {
    const demands = this.#demands;
    this.#demands = new Map();
    return demands;
  }

  /** Cgroups whose weight, quota or cpu.idle somebody wrote since the last call, as far as the kernel tells. */
  takeLimitChanges(): bigint[] {
    const changed: bigint[] = [];
    for (const [cgroupId, live] of this.#live) {
      const now = this.#slots.limitChanges(live.entry.slot);
      if (now === live.limitChanges) continue;
      live.limitChanges = now;
      changed.push(cgroupId);
    }
    return changed;
  }

  /** @returns true where there was something to read. */
  #readOne(live: LiveSlot, nowMs: number): boolean {
    const { meter } = live;
    if (meter === undefined) return false;
    const { slot } = live.entry;
    const activity = this.#slots.activity(slot);
    if (activity === live.activity) {
      this.#calm(live, meter, nowMs);
      return false;
    }
    live.activity = activity;
    this.#count(live, meter, this.#slots.stats(slot), nowMs);
    return true;
  }

  #calm(live: LiveSlot, meter: Meter, nowMs: number): void {
    live.cpus = 0;
    live.wantedCpus = shrunk(live.wantedCpus, 0, nowMs - meter.readAtMs);
    this.#ledger.rest(meter, nowMs);
  }

  #count(live: LiveSlot, meter: Meter, stats: SlotStats, nowMs: number): void {
    const delta = this.#ledger.read(meter, stats, nowMs);
    if (delta.sinceMs > 0) {
      live.cpus = delta.ranNs / (delta.sinceMs * 1e6);
      const wantedCpus = (delta.ranNs + delta.waitNs) / (delta.sinceMs * 1e6);
      live.wantedCpus = Math.max(wantedCpus, shrunk(live.wantedCpus, wantedCpus, delta.sinceMs));
    }
    if (isHot(live.entry.desired)) this.#addDemand(live.entry.desired.creditOf, delta);
  }

  /** Periods are counted where the quota is, held-back time where waits are: either may be elsewhere. */
  #readThrottle(live: LiveSlot, nowMs: number): boolean {
    const { slot, policy } = live.entry;
    // A container without a quota that counts for its pod: neither is counted here.
    if (live.throttle === undefined && live.meter === undefined && policy.quotaNs === 0) return false;
    const throttling = this.#slots.throttling(slot);
    if (live.throttle === undefined) {
      if (policy.quotaNs === 0 && throttling.throttledNs === 0) return false;
      live.throttle = this.#throttles.open(labelsOf(live.owner), nowMs);
    }
    this.#throttles.read(live.throttle, throttling, nowMs);
    return true;
  }

  #addDemand(creditOf: bigint, delta: SlotDelta): void {
    const demand = this.#demands.get(creditOf) ?? { ranNs: 0, waitNs: 0, overMisses: 0 };
    demand.ranNs += delta.ranNs;
    demand.waitNs += delta.waitNs;
    demand.overMisses += delta.overMisses;
    this.#demands.set(creditOf, demand);
  }
}

const shrunk = (before: number, target: number, sinceMs: number): number =>
  target + (before - target) * Math.exp(-Math.max(0, sinceMs) / SHRINK_TAU_MS);
