/**
 * Attaching the struct_ops, and proof of it. The call walks all tasks and can hang on affected kernels, so it runs
 * in the background with a time limit.
 */
import { type Failure, failure } from '../failure.ts';
import type { BpfObject } from './bpf-object.ts';
import { exitText, isRestartAsked } from './exit-kind.ts';
import type { Libbpf, LinkHandle } from './libbpf.ts';
import type { AttachFailure } from './port.ts';
import { isOurs, readSchedExtState } from './sched-ext-state.ts';
import type { SharedMemory } from './shared-memory.ts';
import type { Sysfs } from './sysfs.ts';
import { withinMs } from './time-limit.ts';

export interface AttachOptions {
  sysfs: Sysfs;
  attachLimitMs?: number;
}

const ATTACH_LIMIT_MS = 20_000;

/** An attach outlived its limit: until it comes back, no other may start. */
let hanging: boolean = false;

/** Resolves within the limit. With SLO_E_ATTACH_HANG the object is still in use, and closed when that ends. */
export const attachScheduler = async (
  libbpf: Libbpf,
  object: BpfObject,
  opsMap: string,
  shared: SharedMemory,
  options: AttachOptions,
): Promise<LinkHandle | AttachFailure> => {
  // a scheduler whose agent was never heard of would start with its policy off
  shared.slots.beat(process.hrtime.bigint());
  const attaching = object.attachStructOps(opsMap).then((link) => ({ link }));
  const answer = await withinMs(attaching, options.attachLimitMs ?? ATTACH_LIMIT_MS);
  if (!answer) {
    // should it come back later, the node is handed back at once
    hanging = true;
    attaching
      .then(({ link }) => (link ? libbpf.destroyLinkInBackground(link) : undefined))
      .then(() => object.close())
      .catch(() => undefined)
      .finally(() => {
        hanging = false;
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

/** Why an attach would be in vain now: a scheduler runs (ours of another agent, too), or an attach hangs. */
export const cannotAttach = (options: AttachOptions): Failure | undefined => {
  if (hanging) return attachHang(options);
  const now = readSchedExtState(options.sysfs);
  return now && now.state !== 'disabled' ? otherScheduler(now.ops) : undefined;
};

const otherScheduler = (ops: string): Failure =>
  failure(
    'SLO_E_OTHER_SCHEDULER',
    'the scheduler was not attached',
    `the scheduler \`${ops || 'unknown'}\` is already loaded`,
    'stop it, or run with --mode advisory; it was left alone',
  );

const attachHang = ({ attachLimitMs = ATTACH_LIMIT_MS }: AttachOptions): Failure =>
  failure(
    'SLO_E_ATTACH_HANG',
    'the scheduler did not attach',
    `the kernel did not answer within ${attachLimitMs / 1000} s (CVE-2026-43392 hangs so on a saturated node)`,
    'end the load or the agent, and use a kernel with the fix (7.0, 6.19.14, 6.12.117 or newer)',
  );

const attachRefused = (sysfs: Sysfs, shared: SharedMemory, libbpf: Libbpf): AttachFailure => {
  const now = readSchedExtState(sysfs);
  if (now && now.state !== 'disabled' && !isOurs(now.ops)) return otherScheduler(now.ops);
  const exit = shared.exit();
  const ended = exit.kind ? exitText(exit) : 'no reason given';
  const why = [ended, ...libbpf.recentLog()].join('\n  ');
  if (exit.kind && isRestartAsked(exit)) {
    const what = 'CPUs came or went while the scheduler was being attached';
    return { ...failure('SLO_E_HOTPLUG', what, why, 'load it again with the new topology'), exit };
  }
  const refused = failure(
    'SLO_E_ATTACH',
    'the kernel refused the scheduler',
    why,
    'see `dmesg` for its words',
  );
  return exit.kind ? { ...refused, exit } : refused;
};
