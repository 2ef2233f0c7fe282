/**
 * Scheduler session: our struct_ops in charge of the node. The link is never pinned: when this process dies, the
 * kernel is back on its own scheduler. Attaching and detaching walk all tasks and may hang on affected kernels,
 * so both run in the background with a time limit.
 */
import { type Failure, failure, isFailure } from '../failure.ts';
import { BpfObject } from './bpf-object.ts';
import { type Libbpf, type LinkHandle, loadLibbpf } from './libbpf.ts';
import { ownTgid } from './own-tgid.ts';
import type { AttachFailure, KernelSession } from './port.ts';
import { isOurs, readSchedExtState } from './sched-ext-state.ts';
import { type AttachOptions, attachScheduler, cannotAttach } from './scheduler-attach.ts';
import { type SessionOptions, type SharedMemory, setConstants, shareMemory } from './shared-memory.ts';
import { chooseVariant } from './struct-ops-variant.ts';
import type { Sysfs } from './sysfs.ts';
import { withinMs } from './time-limit.ts';

export interface SchedulerOptions extends SessionOptions, AttachOptions {
  /** Members of the kernel's struct sched_ext_ops (vmlinux-btf.ts). */
  kernelOpsMembers: readonly string[];
  /** How long a runnable task may wait before the kernel takes the node back; at most 30 s. */
  watchdogMs?: number;
}

export interface SchedulerSession extends KernelSession {
  readonly kind: 'scheduler';
  /**
   * Hands the node back and frees everything; resolves once the kernel says `disabled`. SLO_E_DETACH_HANG: it
   * did not within the limit; ending the process is then the only way. close() does the same without waiting.
   */
  detach(limitMs?: number): Promise<Failure | undefined>;
}

const DETACH_LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 20;
/** What the scheduler sets where the kernel has it (bpf/hints.bpf.h): all of them since 6.19. */
const LIMIT_OPS = ['cgroup_set_weight', 'cgroup_set_bandwidth', 'cgroup_set_idle'];

/** Loads, attaches and proves that the kernel runs our scheduler; a Failure leaves nothing attached. */
export const openScheduler = async (options: SchedulerOptions): Promise<SchedulerSession | AttachFailure> => {
  const libbpf = loadLibbpf();
  if (isFailure(libbpf)) return libbpf;
  const inVain = cannotAttach(options);
  if (inVain) return inVain;
  const object = BpfObject.open('scheduler', libbpf);
  if (isFailure(object)) return object;
  const opsMap = prepareScheduler(object, { ...options, agentTgid: ownTgid(libbpf) });
  const shared = isFailure(opsMap) ? opsMap : (object.load() ?? shareMemory(libbpf, object, options));
  if (isFailure(opsMap) || isFailure(shared)) {
    object.close();
    return isFailure(opsMap) ? opsMap : (shared as Failure);
  }
  const link = await attachScheduler(libbpf, object, opsMap, shared, options);
  if (isFailure(link)) {
    shared.events.close();
    // a hanging attach still uses the object, and frees it when it comes back
    if (link.code !== 'SLO_E_ATTACH_HANG') object.close();
    return link;
  }
  const tellsLimits = LIMIT_OPS.every((member) => options.kernelOpsMembers.includes(member));
  return new AttachedScheduler(libbpf, object, link, shared, options.sysfs, tellsLimits);
};

/** Before load: constants, and which struct_ops to create. Answers with its name. */
export const prepareScheduler = (
  object: BpfObject,
  options: Pick<SchedulerOptions, 'topology' | 'kernelOpsMembers' | 'heartbeatTimeoutNs' | 'watchdogMs'> & {
    agentTgid?: number;
  },
): string | Failure => {
  const problem = setConstants(object, options);
  if (problem) return problem;
  const variants = object.structOpsVariants();
  const chosen = chooseVariant(variants, options.kernelOpsMembers);
  if (isFailure(chosen)) return chosen;
  for (const { name } of variants) object.setAutocreate(name, name === chosen.name);
  // the kernel refuses us when CPUs came or went since the topology was read
  object.setOpsMember(chosen.name, 'hotplug_seq', options.topology.hotplugSeq ?? 0n);
  if (options.watchdogMs !== undefined) object.setOpsMember(chosen.name, 'timeout_ms', options.watchdogMs);
  return chosen.name;
};

class AttachedScheduler implements SchedulerSession {
  readonly kind = 'scheduler';
  readonly slots: SharedMemory['slots'];
  readonly tellsLimits: boolean;
  readonly #libbpf: Libbpf;
  readonly #object: BpfObject;
  readonly #link: LinkHandle;
  readonly #shared: SharedMemory;
  readonly #sysfs: Sysfs;
  /** What it was at the end, for after the memory is gone. */
  #last: { exit: ReturnType<KernelSession['exit']>; health: ReturnType<KernelSession['health']> } | undefined;
  #detaching: Promise<boolean> | undefined;

  constructor(
    libbpf: Libbpf,
    object: BpfObject,
    link: LinkHandle,
    shared: SharedMemory,
    sysfs: Sysfs,
    tellsLimits: boolean,
  ) {
    this.#libbpf = libbpf;
    this.#object = object;
    this.#link = link;
    this.#shared = shared;
    this.#sysfs = sysfs;
    this.tellsLimits = tellsLimits;
    this.slots = shared.slots;
  }

  health() {
    return this.#last?.health ?? this.#shared.health();
  }

  exit() {
    return this.#last?.exit ?? this.#shared.exit();
  }

  running(): boolean {
    if (this.#detaching || this.exit().kind !== 0) return false;
    const now = readSchedExtState(this.#sysfs);
    return now?.state === 'enabled' && isOurs(now.ops);
  }

  beat(): void {
    this.slots.beat(process.hrtime.bigint());
  }

  close(): void {
    this.#startDetach().catch(() => undefined);
  }

  async detach(limitMs = DETACH_LIMIT_MS): Promise<Failure | undefined> {
    if (await withinMs(this.#startDetach(), limitMs)) return undefined;
    const why = `the kernel did not end our scheduler within ${limitMs / 1000} s`;
    return failure(
      'SLO_E_DETACH_HANG',
      'the scheduler was not detached',
      why,
      'end the agent (kill -9 is safe)',
    );
  }

  /** One detach for all callers; true once the kernel runs on its own scheduler again, or another's. */
  #startDetach(): Promise<boolean> {
    this.#detaching ??= this.#detachAndFree();
    return this.#detaching;
  }

  async #detachAndFree(): Promise<boolean> {
    await this.#libbpf.destroyLinkInBackground(this.#link);
    for (;;) {
      const now = readSchedExtState(this.#sysfs);
      if (!now || now.state === 'disabled' || (now.state === 'enabled' && !isOurs(now.ops))) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    this.#last = { exit: this.#shared.exit(), health: this.#shared.health() };
    this.#shared.events.close();
    this.#object.close();
    return true;
  }
}
