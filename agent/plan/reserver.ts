/** Measures demand, steps the reservations and hands them to the kernel. */
import type { Logger } from 'pino';
import { creditCapNs } from './credit.ts';
import type { DemandSample } from './demand.ts';
import type { DesiredSlot } from './desired-slot.ts';
import { type LiveSlot, labelsOf } from './live-slot.ts';
import { firstGrantCpus, NO_RESERVATION, type Reservation, stepReservation } from './reservation.ts';
import { type Served, Shortfalls } from './shortfall.ts';
import type { NewReservation, SlotKeeper } from './slot-keeper.ts';
import type { Demand } from './slot-reader.ts';
import {
  NO_SYSTEM_RESERVATION,
  type SystemReservation,
  stepSystemReservation,
  systemCreditCapNs,
} from './system-reservation.ts';

export interface ReserverOptions {
  keeper: SlotKeeper;
  log: Pick<Logger, 'info' | 'warn'>;
  /** Online CPUs, as they are now. */
  cpus: () => number;
  /** caps.scx-slo.io/max-reservation-percent of a namespace, of the node's CPUs; undefined: no cap. */
  namespaceCapPercent?: (namespace: string) => number | undefined;
  /** What everything outside the pods weighs against them, 0 .. 1. */
  systemShare: () => number;
}

/** Nobody asked for anything for so long: claims only fade, which one step a second follows as well as five. */
const REST_AFTER_MS = 1_000;
const REST_STEP_MS = 1_000;
/** Reservations change a little with every step; smaller changes are not worth a write. */
const RESERVATION_STEP_CPUS = 0.005;

const requestCpusOf = ({ owner }: DesiredSlot): number =>
  owner.kind === 'pod' ? owner.pod.cpuRequestMilli / 1000 : 0;

const importanceOf = ({ owner, slo }: DesiredSlot): number => {
  if (slo !== undefined || owner.kind !== 'pod') return slo?.importance ?? 1;
  return Math.max(1, ...owner.pod.containers.map((container) => container.slo?.importance ?? 1));
};

const sampleOf = ({ entry }: LiveSlot, demand: Demand | undefined): DemandSample => {
  const { desired } = entry;
  return {
    cgroupId: desired.cgroupId,
    namespace: labelsOf(desired.owner).namespace,
    importance: importanceOf(desired),
    requestCpus: requestCpusOf(desired),
    quotaCpus: desired.quotaCpus,
    ranNs: demand?.ranNs ?? 0,
    waitNs: demand?.waitNs ?? 0,
    overMisses: demand?.overMisses ?? 0,
  };
};

const nameOf = ({ owner, path }: DesiredSlot): string =>
  owner.kind === 'pod' ? `pod ${owner.pod.namespace}/${owner.pod.name}` : path;

export class Reserver {
  readonly #options: ReserverOptions;
  readonly #shortfalls = new Shortfalls();
  #reservation: Reservation = NO_RESERVATION;
  #system: SystemReservation = NO_SYSTEM_RESERVATION;
  #systemSteppedAtMs = performance.now();
  #steppedAtMs = this.#systemSteppedAtMs;
  /** Later than the last step only while everybody rests. */
  #lookedAtMs = this.#steppedAtMs;
  #askedAtMs = this.#steppedAtMs;
  #slotsUsed = 0;

  constructor(options: ReserverOptions) {
    this.#options = options;
  }

  get reservation(): Reservation {
    return this.#reservation;
  }

  /** For the node's own daemons. */
  get systemReservedCpus(): number {
    return this.#system.reservedCpus;
  }

  /** Call it right after the slots were read: what they did is divided by the time since the last step. */
  step(nowMs: number): void {
    const { keeper } = this.#options;
    this.#stepSystem(nowMs);
    const demands = keeper.takeDemands();
    if (demands.size > 0) this.#askedAtMs = nowMs;
    const rests = nowMs - this.#askedAtMs >= REST_AFTER_MS && keeper.used === this.#slotsUsed;
    if (rests && nowMs - this.#steppedAtMs < REST_STEP_MS) {
      this.#lookedAtMs = nowMs;
      return;
    }
    // What somebody did now was done since the last look; before that everybody rested.
    if (demands.size > 0 && this.#lookedAtMs > this.#steppedAtMs) this.#step(new Map(), this.#lookedAtMs);
    this.#step(demands, nowMs);
    this.#slotsUsed = keeper.used;
  }

  #step(demands: ReadonlyMap<bigint, Demand>, nowMs: number): void {
    const { keeper } = this.#options;
    const claimants: LiveSlot[] = [];
    const samples: DemandSample[] = [];
    let othersCpus = 0;
    for (const live of keeper.live()) {
      const { desired } = live.entry;
      if (desired.policy.creditCapNs > 0) {
        claimants.push(live);
        samples.push(sampleOf(live, demands.get(desired.cgroupId)));
      } else othersCpus += Math.min(requestCpusOf(desired), live.wantedCpus);
    }
    const cpus = this.#options.cpus();
    const dtMs = nowMs - this.#steppedAtMs;
    this.#steppedAtMs = nowMs;
    this.#lookedAtMs = nowMs;
    const { demandCpus: systemCpus } = this.#system;
    const namespaceCapCpus = (name: string): number | undefined => this.#capCpus(name);
    const node = { cpus, systemCpus, othersCpus, namespaceCapCpus };
    this.#reservation = stepReservation(this.#reservation, samples, node, dtMs);
    keeper.reserve(
      claimants.map((live) => this.#reservationOf(live)),
      nowMs,
    );
    this.#tell(claimants, nowMs);
  }

  /** What the plan writes for an owner of credit. */
  reservedCpus(cgroupId: bigint): number {
    const cpus =
      this.#reservation.granted.get(cgroupId) ?? firstGrantCpus(this.#reservation, this.#options.cpus());
    return Math.floor(cpus / RESERVATION_STEP_CPUS) * RESERVATION_STEP_CPUS;
  }

  #stepSystem(nowMs: number): void {
    const { keeper, cpus, systemShare } = this.#options;
    const node = { cpus: cpus(), weightShare: systemShare() };
    const dtMs = nowMs - this.#systemSteppedAtMs;
    this.#systemSteppedAtMs = nowMs;
    this.#system = stepSystemReservation(this.#system, keeper.takeSystemDemand(), node, dtMs);
    const { reservedCpus } = this.#system;
    // Two stores: cheaper than to know whether a new session has them.
    keeper.reserveSystem(reservedCpus, systemCreditCapNs(reservedCpus));
  }

  #capCpus(namespace: string): number | undefined {
    const percent = this.#options.namespaceCapPercent?.(namespace);
    return percent === undefined ? undefined : (this.#options.cpus() * percent) / 100;
  }

  #reservationOf({ entry }: LiveSlot): NewReservation {
    const { cgroupId, policy } = entry.desired;
    const reservedCpus = this.reservedCpus(cgroupId);
    return { cgroupId, reservedCpus, creditCapNs: creditCapNs(policy.budgetNs, reservedCpus) };
  }

  #served({ entry }: LiveSlot): Served {
    const { desired } = entry;
    const { claims, granted, ratios } = this.#reservation;
    return {
      name: nameOf(desired),
      importance: importanceOf(desired),
      ratio: ratios.get(desired.cgroupId) ?? 1,
      demandCpus: claims.get(desired.cgroupId)?.meanCpus ?? 0,
      grantedCpus: granted.get(desired.cgroupId) ?? 0,
    };
  }

  #tell(claimants: readonly LiveSlot[], nowMs: number): void {
    const { log } = this.#options;
    if (this.#reservation.ratio === 1 && this.#shortfalls.isEmpty) return;
    const served = claimants.map((live) => this.#served(live));
    for (const { kind, served: one } of this.#shortfalls.update(served, nowMs)) {
      const { name, ...facts } = one;
      if (kind === 'recovered') log.info(facts, `${name} gets the CPU it needs again`);
      else log.warn(facts, `${name} gets less CPU than it needs: more important pods or requests come first`);
    }
  }
}
