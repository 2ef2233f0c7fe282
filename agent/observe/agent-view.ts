/** What /metrics and /v1/pods show of a running agent. */
import type { RecorderCounts } from '../../kube/event-recorder.ts';
import type { ExitRecord } from '../exit-record.ts';
import type { ExitClass } from '../kernel/exit-kind.ts';
import type { KernelHealth } from '../kernel/port.ts';
import type { KeptEvent } from '../node-events.ts';
import type { NodeMode } from '../node-mode.ts';
import type { LiveSlot } from '../plan/live-slot.ts';
import type { Plan } from '../plan/plan.ts';
import type { Reservation } from '../plan/reservation.ts';
import type { SourceError, SourceState } from '../pods/target.ts';
import type { RestartView } from '../scheduler-restart.ts';
import type { LevelBoard } from '../shed/level-board.ts';
import type { Series } from './ledger.ts';
import type { ThrottleSeries } from './throttle-ledger.ts';

export interface ShedAnswers {
  namespace: string;
  pod: string;
  allowed: number;
  denied: number;
}

export interface AgentView {
  nodeName: string;
  version: string;
  kernelVersion: string;
  mode: NodeMode;
  /** Slots that are assigned, with what was read of them. */
  live: () => Iterable<LiveSlot>;
  series: () => Iterable<Series>;
  /** Of pods and containers that have a quota, or were held back by one. */
  throttles: () => Iterable<ThrottleSeries>;
  plan: Plan;
  reservation: Reservation;
  /** For everything outside the pods. */
  systemReservedCpus: number;
  slotsUsed: number;
  slotsCapacity: number;
  board: LevelBoard;
  /** Of all sessions so far. */
  health: KernelHealth;
  cgroupEventsDropped: number;
  missEvents: number;
  /** Every class, since this agent started. */
  schedulerExits: ReadonlyMap<ExitClass, number>;
  restart: RestartView;
  /** Newest first. */
  exits: readonly ExitRecord[];
  events: readonly KeptEvent[];
  shedAnswers: ReadonlyMap<string, ShedAnswers>;
  unknownCallers: number;
  sourceErrors: () => Iterable<{ source: string; errors: readonly SourceError[] }>;
  /** Of the sources that watch something far away. */
  sourceStates: () => readonly SourceState[];
  /** Of whoever sends Events. */
  eventCounts: () => readonly Readonly<RecorderCounts>[];
  resolveHist: Float64Array;
  resolveSumNs: number;
  eventLoopP99S: () => number;
  /** Does the pod's cgroup have a signal socket, and where. */
  socketOf: (path: string) => string | undefined;
}
