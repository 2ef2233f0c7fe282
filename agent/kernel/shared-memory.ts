/** What observer and scheduler have in common: constants before load, slots, counters and events after it. */
import { type Failure, failure, isFailure } from '../failure.ts';
import type { BpfObject } from './bpf-object.ts';
import { decodeMiss, fixedText } from './events.ts';
import { SLO_EXIT, SLO_EXIT_BYTES, SLO_EXIT_DUMP_LEN, SLO_HEALTH, SLO_SLOTS } from './layout.gen.ts';
import type { Libbpf } from './libbpf.ts';
import type { ExitInfo, KernelHealth, MissEvent } from './port.ts';
import { EventStream } from './ring-buffer.ts';
import { KernelSlotIndex } from './slot-index.ts';
import { MappedSlotMap } from './slot-map.ts';
import type { Topology } from './topology.ts';

export interface SessionOptions {
  topology: Topology;
  /** How old the heartbeat may get before pods are scheduled as fair work. */
  heartbeatTimeoutNs?: bigint;
  onMiss(event: MissEvent): void;
  /** Trouble that does not end the session; each kind at most once. */
  onProblem(problem: Failure): void;
}

/** Before load. */
export const setConstants = (
  object: BpfObject,
  options: Pick<SessionOptions, 'topology' | 'heartbeatTimeoutNs'> & { agentTgid?: number },
): Failure | undefined => {
  const { topology } = options;
  object.setConstant('nr_cpus', topology.cpuCount);
  object.setConstant('tick_ns', topology.tickNs);
  object.setConstant('agent_tgid', options.agentTgid ?? process.pid);
  if (options.heartbeatTimeoutNs) object.setConstant('heartbeat_timeout_ns', options.heartbeatTimeoutNs);
  object.setMaxEntries('stats', SLO_SLOTS * topology.llcCount);
  const known =
    object.setConstant('nr_llcs', topology.llcCount) && object.setConstant('llc_of_cpu', topology.llcOfCpu);
  if (known) return undefined;
  const why = 'it lacks nr_llcs or llc_of_cpu';
  return failure('SLO_E_ABI', `the ${object.name} object does not fit this agent`, why, 'run `make bpf`');
};

export interface SharedMemory {
  slots: MappedSlotMap;
  health(): KernelHealth;
  /** kind 0 where the object has no exit record or nothing has ended. */
  exit(): ExitInfo;
  events: EventStream<MissEvent>;
}

/** After load. What it maps is freed by the object's close(); close `events` before that. */
export const shareMemory = (
  libbpf: Libbpf,
  object: BpfObject,
  options: SessionOptions,
): SharedMemory | Failure => {
  const policies = object.arrayMemory('policies');
  if (isFailure(policies)) return policies;
  const stats = object.arrayMemory('stats');
  if (isFailure(stats)) return stats;
  const control = object.sectionMemory('.data.control');
  if (isFailure(control)) return control;
  const health = object.sectionMemory('.data.health');
  if (isFailure(health)) return health;
  const exit = object.name === 'scheduler' ? object.sectionMemory('.data.exit') : undefined;
  if (isFailure(exit)) return exit;
  const dump = object.name === 'scheduler' ? object.sectionMemory('.data.dump') : undefined;
  if (isFailure(dump)) return dump;
  const events = EventStream.open(libbpf, {
    mapFd: object.mapFd('miss_events'),
    decode: decodeMiss,
    onEvent: options.onMiss,
    onProblem: options.onProblem,
  });
  if (isFailure(events)) return events;
  const healthWords = new Uint32Array(health);
  const index = new KernelSlotIndex(libbpf, object.mapFd('slot_of'), object.maxEntries('slot_of'));
  return {
    slots: new MappedSlotMap({ policies, stats, control }, index),
    health: () => readHealth(healthWords),
    exit: () => (exit && dump ? readExit(exit, dump) : NO_EXIT),
    events,
  };
};

const NO_EXIT: ExitInfo = { kind: 0, exitCode: 0n, reason: '', message: '', dump: '' };

/** `words`: section .data.health. Zeroes after the object was closed, which empties the array. */
export const readHealth = (words: Uint32Array): KernelHealth => {
  const counter = (offset: number) => (words[offset / 4] ?? 0) + (words[offset / 4 + 1] ?? 0) * 2 ** 32;
  return {
    eventsDropped: counter(SLO_HEALTH.eventsDropped),
    cgroupEventsDropped: counter(SLO_HEALTH.cgroupEventsDropped),
    fairFallbacks: counter(SLO_HEALTH.fairFallbacks),
    preemptKicks: counter(SLO_HEALTH.preemptKicks),
    floorPicks: counter(SLO_HEALTH.floorPicks),
    stalls: counter(SLO_HEALTH.stalls),
    limitChanges: counter(SLO_HEALTH.limitChanges),
    expiredDemotions: counter(SLO_HEALTH.expiredDemotions),
    throttles: counter(SLO_HEALTH.throttles),
    rescues: counter(SLO_HEALTH.rescues),
  };
};

const readExit = (memory: ArrayBuffer, dump: ArrayBuffer): ExitInfo => {
  if (memory.detached || dump.detached) return NO_EXIT;
  // kind is written last: read it first, and the rest is complete
  const kind = Atomics.load(new Uint32Array(memory), SLO_EXIT.kind / 4);
  if (kind === 0) return NO_EXIT;
  const view = new DataView(memory);
  return {
    kind,
    exitCode: view.getBigInt64(SLO_EXIT.exitCode, true),
    reason: fixedText(view, SLO_EXIT.reason, SLO_EXIT_BYTES.reason),
    message: fixedText(view, SLO_EXIT.msg, SLO_EXIT_BYTES.msg),
    dump: fixedText(new DataView(dump), 0, SLO_EXIT_DUMP_LEN),
  };
};
