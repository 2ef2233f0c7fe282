/**
 * Who may claim how many CPUs in the deadline tier (architecture, claims on CPU). Pure.
 *
 *  1. Demand within the pods' CPU requests.
 *  2. Demand above the request, the most important first, as far as pods without an SLO cannot use it of their
 *     requests now, and within cpu.max, namespace caps and a fixed part of the node.
 *  3. Headroom, within the requests and then by importance: first for a steady flow, then for bursts.
 *  4. A head start, by importance, with what is still left: it costs nothing until somebody claims it.
 *
 * Headroom waits for everybody's demand, because many small pods would else ask for more than the node in headroom
 * alone, and look as if they did not fit.
 */
import { type Claim, type DemandSample, FIRST_WANT_CPUS, mostCpus, nextClaim, sane } from './demand.ts';
import { bringUpTo, byImportance, type Room, type Wanter } from './handout.ts';

export interface NodeShare {
  cpus: number;
  /** What the node's daemons need, and get before any pod (system-reservation.ts); undefined: nothing. */
  systemCpus?: number;
  /** What pods without an SLO can use of their CPU requests now; (2) to (4) never take that. */
  othersCpus: number;
  /** Most CPUs that the pods of a namespace may have reserved in all; undefined: any. */
  namespaceCapCpus?: (namespace: string) => number | undefined;
}

export interface Reservation {
  /** By owner of credit. */
  claims: ReadonlyMap<bigint, Claim>;
  /** Owner of credit -> CPUs that it gets. */
  granted: ReadonlyMap<bigint, number>;
  /** Owner of credit -> the part of its mean demand that it gets, 0 .. 1. */
  ratios: ReadonlyMap<bigint, number>;
  /** The same over all: below 1, not all demand fits. */
  ratio: number;
}

export const NO_RESERVATION: Reservation = {
  claims: new Map(),
  granted: new Map(),
  ratios: new Map(),
  ratio: 1,
};

/** The rest is for the kernel, daemons and the floor of the fair tier (architecture, claims on CPU). */
export const MAX_SHARE = 0.78;

/** The floor of the fair tier (bpf/tunables.bpf.h: floor_share). */
const FLOOR_SHARE = 0.1;

/** What pods may claim in all: daemons that need more than usual need it of that. */
const mostFor = ({ cpus, systemCpus = 0 }: NodeShare): number =>
  Math.max(0, Math.min(cpus * MAX_SHARE, cpus * (1 - FLOOR_SHARE) - sane(systemCpus)));

/** Less demand than this says nothing about whether it fits. */
const NO_DEMAND_CPUS = 0.001;

/** What a pod gets from the moment its slot exists until the next step. */
export const firstGrantCpus = ({ granted }: Reservation, cpus: number): number =>
  Math.min(FIRST_WANT_CPUS, Math.max(0, cpus * MAX_SHARE - sum(granted.values())));

/** @param dtMs time since the last step; 0 or less changes nothing. */
export const stepReservation = (
  before: Reservation,
  samples: readonly DemandSample[],
  node: NodeShare,
  dtMs: number,
): Reservation => {
  if (!(dtMs > 0) || !(node.cpus > 0)) return before;
  const wanters = samples.map((sample): Wanter => {
    const { cgroupId } = sample;
    const grantedCpus = before.granted.get(cgroupId) ?? 0;
    const claim = nextClaim(sample, before.claims.get(cgroupId), grantedCpus, node.cpus, dtMs);
    return { sample, claim, grantedCpus: 0 };
  });
  giveOut(wanters, node);
  return reservationOf(wanters);
};

const demandOf = ({ claim }: Wanter): number => claim.demandCpus;
const steadyOf = ({ claim }: Wanter): number => claim.steadyCpus;
const wantOf = ({ claim }: Wanter): number => claim.wantCpus;

const withinRequest =
  (cpusOf: (wanter: Wanter) => number) =>
  (wanter: Wanter): number =>
    Math.min(cpusOf(wanter), sane(wanter.sample.requestCpus));

const giveOut = (wanters: readonly Wanter[], node: NodeShare): void => {
  const groups = byImportance(wanters);
  const most = mostFor(node);
  const room: Room = { cpus: most, namespaces: namespaceRoom(wanters, node) };

  room.cpus = Math.min(most, roomForRequests(wanters, withinRequest(demandOf), node));
  bringUpTo(wanters, withinRequest(demandOf), room);
  const granted = sum(wanters.map(({ grantedCpus }) => grantedCpus));
  room.cpus = Math.max(0, Math.min(most, node.cpus - sane(node.othersCpus)) - granted);
  for (const equals of groups) bringUpTo(equals, demandOf, room);
  for (const headroomOf of [steadyOf, wantOf]) {
    bringUpTo(wanters, withinRequest(headroomOf), room);
    for (const equals of groups) bringUpTo(equals, headroomOf, room);
  }
  const headStart = ({ sample }: Wanter): number =>
    Math.min(Math.max(sane(sample.requestCpus), FIRST_WANT_CPUS), mostCpus(sample, node.cpus));
  for (const equals of groups) bringUpTo(equals, headStart, room);
};

/** Requests are promises to pods with and without an SLO; where both together exceed the node, both give way alike. */
const roomForRequests = (
  wanters: readonly Wanter[],
  cpusOf: (wanter: Wanter) => number,
  { cpus, othersCpus }: NodeShare,
): number => {
  const wanted = sum(wanters.map(cpusOf));
  const all = wanted + sane(othersCpus);
  return all > cpus ? (cpus * wanted) / all : cpus;
};

const namespaceRoom = (wanters: readonly Wanter[], { namespaceCapCpus }: NodeShare): Map<string, number> => {
  const room = new Map<string, number>();
  if (namespaceCapCpus === undefined) return room;
  for (const namespace of new Set(wanters.map(({ sample }) => sample.namespace))) {
    const cap = namespaceCapCpus(namespace);
    if (cap !== undefined) room.set(namespace, sane(cap));
  }
  return room;
};

const reservationOf = (wanters: readonly Wanter[]): Reservation => {
  const claims = new Map<bigint, Claim>();
  const granted = new Map<bigint, number>();
  const ratios = new Map<bigint, number>();
  let needed = 0;
  let met = 0;
  for (const { sample, claim, grantedCpus } of wanters) {
    const mean = claim.meanCpus;
    const got = Math.min(mean, grantedCpus);
    claims.set(sample.cgroupId, claim);
    granted.set(sample.cgroupId, grantedCpus);
    ratios.set(sample.cgroupId, mean > NO_DEMAND_CPUS ? got / mean : 1);
    needed += mean;
    met += got;
  }
  return { claims, granted, ratios, ratio: needed > NO_DEMAND_CPUS ? met / needed : 1 };
};

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};
