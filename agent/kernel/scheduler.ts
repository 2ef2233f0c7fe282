/**
 * Scheduler session: our struct_ops in charge of the node. The link is never pinned: when this process dies, the
 * kernel is back on its own scheduler. Attaching and detaching walk all tasks and may hang on affected kernels,
 * so both run in the background with a time limit.
 */
import { type Failure, failure, isFailure } from '../failure.ts';
import { BpfObject } from './bpf-object.ts';
import { type Libbpf, type LinkHandle, loadLibbpf } from './libbpf.ts';
import type { KernelSession } from './port.ts';
import { isOurs, readSchedExtState } from './sched-ext-state.ts';
import { type SessionOptions, type SharedMemory, setConstants, shareMemory } from './shared-memory.ts';
import { chooseVariant } from './struct-ops-variant.ts';
import type { Sysfs } from './sysfs.ts';
import { withinMs } from './time-limit.ts';

export interface SchedulerOptions extends SessionOptions {
  sysfs: Sysfs;
  /** Members of the kernel's struct sched_ext_ops (vmlinux-btf.ts). */
  kernelOpsMembers: readonly string[];
  attachLimitMs?: number;
}

export interface SchedulerSession extends KernelSession {
  readonly kind: 'scheduler';
  /**
   * Hands the node back and frees everything; resolves once the kernel says `disabled`. SLO_E_DETACH_HANG: it
   * did not within the limit; ending the process is then the only way. close() does the same without waiting.
   */
  detach(limitMs?: number): Promise<Failure | undefined>;
}

const ATTACH_LIMIT_MS = 20_000;
const DETACH_LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 20;
/** enum scx_exit_kind: SCX_EXIT_UNREG, our own detach. */
const EXIT_BY_DETACH = 64;

/** An attach that outlived its limit: until it comes back, no other may start. */
let hanging: Promise<void> | undefined;

/** Loads, attaches and proves that the kernel runs our scheduler; a Failure leaves nothing attached. */
export const openScheduler = async (options: SchedulerOptions): Promise<SchedulerSession | Failure> => {
  const libbpf = loadLibbpf();
  if (isFailure(libbpf)) return libbpf;
  const other = hanging ? attachHang(options) : refuseOther(options.sysfs);
  if (other) return other;
  const object = BpfObject.open('scheduler', libbpf);
  if (isFailure(object)) return object;
  const opsMap = prepare(object, options);
  const shared = isFailure(opsMap) ? opsMap : (object.load() ?? shareMemory(libbpf, object, options));
  if (isFailure(opsMap) || isFailure(shared)) {
    object.close();
    return isFailure(opsMap) ? opsMap : (shared as Failure);
  }
  const link = await attach(libbpf, object, opsMap, options, shared);
  if (isFailure(link)) {
    shared.events.close();
    // a hanging attach still uses the object, and frees it when it comes back
    if (link.code !== 'SLO_E_ATTACH_HANG') object.close();
    return link;
  }
  return new AttachedScheduler(libbpf, object, link, shared, options.sysfs);
};

/** Before load: constants, and which struct_ops to create. Answers with its name. */
const prepare = (object: BpfObject, options: SchedulerOptions): string | Failure => {
  const problem = setConstants(object, options);
  if (problem) return problem;
  const variants = object.structOpsVariants();
  const chosen = chooseVariant(variants, options.kernelOpsMembers);
  if (isFailure(chosen)) return chosen;
  for (const { name } of variants) object.setAutocreate(name, name === chosen.name);
  // the kernel refuses us when CPUs came or went since the topology was read
  object.setOpsMember(chosen.name, 'hotplug_seq', options.topology.hotplugSeq ?? 0n);
  return chosen.name;
};

const attach = async (
  libbpf: Libbpf,
  object: BpfObject,
  opsMap: string,
  options: SchedulerOptions,
  shared: SharedMemory,
): Promise<LinkHandle | Failure> => {
  // a scheduler whose agent was never heard of would start with its policy off
  shared.slots.beat(process.hrtime.bigint());
  const attaching = object.attachStructOps(opsMap).then((link) => ({ link }));
  const answer = await withinMs(attaching, options.attachLimitMs ?? ATTACH_LIMIT_MS);
  if (!answer) {
    // should it come back later, the node is handed back at once
    hanging = attaching
      .then(({ link }) => (link ? libbpf.destroyLinkInBackground(link) : undefined))
      .then(() => object.close())
      .catch(() => undefined)
      .finally(() => {
        hanging = undefined;
      });
    return attachHang(options);
  }
  shared.slots.beat(process.hrtime.bigint());
  if (!answer.link) return attachRefused(options.sysfs, shared, libbpf);
  const now = readSchedExtState(options.sysfs);
  if (now?.state === 'enabled' && isOurs(now.ops) && shared.exit().kind === 0) return answer.link;
  await libbpf.destroyLinkInBackground(answer.link);
  return attachRefused(options.sysfs, shared, libbpf);
};

/** Also when it is ours, of another agent: two cannot run at once. */
const refuseOther = (sysfs: Sysfs): Failure | undefined => {
  const now = readSchedExtState(sysfs);
  return now && now.state !== 'disabled' ? otherScheduler(now.ops) : undefined;
};

const otherScheduler = (ops: string): Failure =>
  failure(
    'SLO_E_OTHER_SCHEDULER',
    'the scheduler was not attached',
    `the scheduler \`${ops || 'unknown'}\` is already loaded`,
    'stop it, or run with --mode advisory; it was left alone',
  );

const attachHang = ({ attachLimitMs = ATTACH_LIMIT_MS }: SchedulerOptions): Failure =>
  failure(
    'SLO_E_ATTACH_HANG',
    'the scheduler did not attach',
    `the kernel did not answer within ${attachLimitMs / 1000} s (CVE-2026-43392 hangs so on a saturated node)`,
    'end the load or the agent, and use a kernel with the fix (7.0, 6.19.14, 6.12.117 or newer)',
  );

const attachRefused = (sysfs: Sysfs, shared: SharedMemory, libbpf: Libbpf): Failure => {
  const now = readSchedExtState(sysfs);
  if (now && now.state !== 'disabled' && !isOurs(now.ops)) return otherScheduler(now.ops);
  const exit = shared.exit();
  const ended = exit.kind ? `${exit.reason}: ${exit.message} (kind ${exit.kind})` : 'no reason given';
  const why = [ended, ...libbpf.recentLog()].join('\n  ');
  return failure('SLO_E_ATTACH', 'the kernel refused the scheduler', why, 'see `dmesg` for its words');
};

class AttachedScheduler implements SchedulerSession {
  readonly kind = 'scheduler';
  readonly slots: SharedMemory['slots'];
  readonly #libbpf: Libbpf;
  readonly #object: BpfObject;
  readonly #link: LinkHandle;
  readonly #shared: SharedMemory;
  readonly #sysfs: Sysfs;
  /** What it was at the end, for after the memory is gone. */
  #last: { exit: ReturnType<KernelSession['exit']>; health: ReturnType<KernelSession['health']> } | undefined;
  #detaching: Promise<boolean> | undefined;

  constructor(libbpf: Libbpf, object: BpfObject, link: LinkHandle, shared: SharedMemory, sysfs: Sysfs) {
    this.#libbpf = libbpf;
    this.#object = object;
    this.#link = link;
    this.#shared = shared;
    this.#sysfs = sysfs;
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
      if (!now || now.state === 'disabled' || !isOurs(now.ops)) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    this.#last = { exit: this.#shared.exit(), health: this.#shared.health() };
    this.#shared.events.close();
    this.#object.close();
    return true;
  }
}

/** Did the scheduler end because we asked it to? Everything else is news for the operator. */
export const endedByUs = (kind: number): boolean => kind === EXIT_BY_DETACH;
