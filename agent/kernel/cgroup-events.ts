/** Session over cgroups.bpf.o: every cgroup v2 directory that appears or goes, without inotify watches. */
import { type Failure, isFailure } from '../failure.ts';
import { BpfObject } from './bpf-object.ts';
import { decodeCgroup } from './events.ts';
import { loadLibbpf } from './libbpf.ts';
import type { CgroupEvent } from './port.ts';
import { EventStream } from './ring-buffer.ts';
import { readHealth } from './shared-memory.ts';

export interface CgroupEventSession {
  /** Events that were lost so far, here or in the kernel: when it moves, walk the tree again. */
  dropped(): number;
  /** Safe to call twice. */
  close(): void;
}

export interface CgroupEventOptions {
  onCgroup(event: CgroupEvent): void;
  /** Trouble that does not end the session; each kind at most once. */
  onProblem(problem: Failure): void;
}

/** Loads and attaches build/bpf/cgroups.bpf.o; a Failure leaves nothing behind. */
export const openCgroupEvents = (options: CgroupEventOptions): CgroupEventSession | Failure => {
  const libbpf = loadLibbpf();
  if (isFailure(libbpf)) return libbpf;
  const object = BpfObject.open('cgroups', libbpf);
  if (isFailure(object)) return object;
  const health = object.load() ?? object.sectionMemory('.data.health');
  const events = isFailure(health)
    ? health
    : EventStream.open(libbpf, {
        mapFd: object.mapFd('cgroup_events'),
        decode: decodeCgroup,
        onEvent: options.onCgroup,
        onProblem: options.onProblem,
      });
  if (isFailure(health) || isFailure(events)) {
    object.close();
    return isFailure(health) ? health : (events as Failure);
  }
  const counters = new Uint32Array(health);
  let droppedAtEnd: number | undefined;
  const dropped = () => droppedAtEnd ?? readHealth(counters).cgroupEventsDropped + events.lost;
  const close = (): void => {
    if (droppedAtEnd !== undefined) return;
    droppedAtEnd = dropped();
    events.close();
    object.close();
  };
  const notAttached = object.attachPrograms();
  if (notAttached) {
    close();
    return notAttached;
  }
  return { dropped, close };
};
