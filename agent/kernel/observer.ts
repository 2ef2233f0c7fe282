/** Observer session: run delay and misses of every slot from tracing programs, under any scheduler. */
import { type Failure, isFailure } from '../failure.ts';
import { BpfObject } from './bpf-object.ts';
import { loadLibbpf } from './libbpf.ts';
import type { KernelSession } from './port.ts';
import { type SessionOptions, setConstants, shareMemory } from './shared-memory.ts';

/** Loads and attaches build/bpf/observer.bpf.o; a Failure leaves nothing behind. */
export const openObserver = (options: SessionOptions): KernelSession | Failure => {
  const libbpf = loadLibbpf();
  if (isFailure(libbpf)) return libbpf;
  const object = BpfObject.open('observer', libbpf);
  if (isFailure(object)) return object;

  const problem = setConstants(object, options) ?? object.load();
  const shared = problem ?? shareMemory(libbpf, object, options);
  if (isFailure(shared)) {
    object.close();
    return shared;
  }
  let running = true;
  const close = (): void => {
    if (!running) return;
    running = false;
    shared.events.close();
    object.close();
  };
  const notAttached = object.attachPrograms();
  if (notAttached) {
    close();
    return notAttached;
  }
  return {
    kind: 'observer',
    tellsLimits: false,
    slots: shared.slots,
    health: shared.health,
    exit: shared.exit,
    running: () => running,
    beat: () => shared.slots.beat(process.hrtime.bigint()),
    close,
  };
};
