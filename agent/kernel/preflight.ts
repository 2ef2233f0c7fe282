/**
 * What can this node do? Facts in, verdict out; features are probed, never version strings. Each reason has a
 * stable code (log, metrics, /v1/pods), what is wrong here, and what the operator does next.
 */
import { isFailure } from '../failure.ts';
import type { NodeFacts } from './node-facts.ts';
import type { Preflight, PreflightCode } from './port.ts';
import { isOurs } from './sched-ext-state.ts';

export interface PreflightOptions {
  /** --allow-attach-hang */
  allowAttachHang: boolean;
}

export type Reason = Preflight['reasons'][number];

const CAP_SYS_ADMIN = 21n;
const CAP_PERFMON = 38n;
const CAP_BPF = 39n;

/** scx_bpf_create_dsq(dsq_id, node): a third parameter is the implicit one that broken builds leak. */
const CREATE_DSQ_PARAMETERS = 2;

const reason = (code: PreflightCode, message: string, hint: string): Reason => ({ code, message, hint });

const btfProblem = ({ types }: NodeFacts): Reason | undefined => {
  if (types === undefined) {
    const message = 'the kernel has no type information (/sys/kernel/btf/vmlinux)';
    return reason('NoBtf', message, 'use a kernel with CONFIG_DEBUG_INFO_BTF=y');
  }
  if (!isFailure(types)) return undefined;
  const message = `the kernel's type information cannot be read: ${types.why}`;
  return reason('MalformedBtf', message, 'use a kernel that was built with a current pahole');
};

const noCgroup2 = (facts: NodeFacts): Reason | undefined =>
  facts.cgroup2
    ? undefined
    : reason(
        'NoCgroupV2',
        'no cgroup v2 hierarchy is mounted',
        'boot with systemd.unified_cgroup_hierarchy=1; in a container, mount the host’s /sys/fs/cgroup',
      );

const missingCapabilities = ({ capabilities }: NodeFacts): Reason | undefined => {
  if (capabilities === undefined) return undefined;
  const has = (bit: bigint) => ((capabilities >> bit) & 1n) === 1n;
  if (has(CAP_SYS_ADMIN)) return undefined;
  const missing = [has(CAP_BPF) ? '' : 'CAP_BPF', has(CAP_PERFMON) ? '' : 'CAP_PERFMON'].filter(Boolean);
  if (missing.length === 0) return undefined;
  const message = `the agent lacks ${missing.join(' and ')}`;
  return reason('NoCapability', message, 'run as root, or add them to securityContext.capabilities.add');
};

const noSchedExt = (facts: NodeFacts): Reason | undefined =>
  facts.schedExt
    ? undefined
    : reason(
        'NoSchedExt',
        `kernel ${facts.kernel} has no sched_ext (/sys/kernel/sched_ext)`,
        'use a kernel from 6.12 on with CONFIG_SCHED_CLASS_EXT=y; observe and advisory work without',
      );

const hybridCgroups = (facts: NodeFacts): Reason | undefined =>
  !facts.cgroup2 || facts.cpuControllerV2
    ? undefined
    : reason(
        'NoCgroupV2',
        'the CPU controller belongs to cgroup v1, beside a v2 hierarchy',
        'boot with systemd.unified_cgroup_hierarchy=1; observe and advisory work without',
      );

const malformedKfuncs = ({ types, schedExt }: NodeFacts): Reason | undefined => {
  if (!schedExt || !types || isFailure(types)) return undefined;
  const found = types.createDsqParameters;
  if (found === CREATE_DSQ_PARAMETERS) return undefined;
  const told = found === undefined ? 'no usable prototype' : `${found} parameters instead of 2`;
  const message = `the kernel's type information is malformed: scx_bpf_create_dsq has ${told}`;
  return reason(
    'MalformedBtf',
    message,
    'use a kernel built with pahole 1.27 or newer; it is a packaging fault',
  );
};

const otherScheduler = ({ schedExt }: NodeFacts): Reason | undefined => {
  if (!schedExt || schedExt.state === 'disabled' || isOurs(schedExt.ops)) return undefined;
  const name = schedExt.ops || 'unknown';
  const message = `the scheduler \`${name}\` is already loaded (sched_ext state ${schedExt.state})`;
  return reason('OtherScheduler', message, 'stop it, then restart the agent; it was left alone');
};

/**
 * `isolcpus=[flags,]cpus`: without flags, or with `domain`, CPUs leave the scheduler's domains, and the kernel
 * then refuses every sched_ext scheduler. `nohz` and `managed_irq` alone do not.
 */
const isolatesCpus = (commandLine: string): string | undefined =>
  commandLine.split(/\s+/).find((argument) => {
    if (!argument.startsWith('isolcpus=')) return false;
    const items = argument.slice('isolcpus='.length).split(',');
    const flags = items.filter((item) => /^[a-z_]+$/.test(item) && item !== 'all');
    return flags.length === 0 ? items.some(Boolean) : flags.includes('domain');
  });

const isolatedCpus = ({ commandLine }: NodeFacts): Reason | undefined => {
  const argument = isolatesCpus(commandLine);
  if (!argument) return undefined;
  const message = `the kernel was booted with ${argument}, which sched_ext refuses`;
  return reason('IsolatedCpus', message, 'boot without isolcpus=, use cpusets instead');
};

const attachHang = ({ types, schedExt }: NodeFacts): Reason | undefined => {
  if (!schedExt || !types || isFailure(types) || types.enableWorkers.length > 0) return undefined;
  const message =
    'attaching a scheduler to a saturated node can hang on this kernel (CVE-2026-43392: no scx_*enable_workfn)';
  return reason('AttachHang', message, 'use 6.19.14, 7.0 or newer, or --allow-attach-hang on an idle node');
};

const present = (reasons: readonly (Reason | undefined)[]): Reason[] =>
  reasons.filter((entry) => entry !== undefined);

/** What keeps this node from measuring; enforcing needs that, too. */
export const observeProblems = (facts: NodeFacts): Reason[] =>
  present([btfProblem(facts), noCgroup2(facts), missingCapabilities(facts)]);

/** What else keeps it from enforcing. */
export const enforceProblems = (facts: NodeFacts, options: PreflightOptions): Reason[] =>
  present([
    noSchedExt(facts),
    hybridCgroups(facts),
    malformedKfuncs(facts),
    otherScheduler(facts),
    isolatedCpus(facts),
    options.allowAttachHang ? undefined : attachHang(facts),
  ]);

export const preflight = (facts: NodeFacts, options: PreflightOptions): Preflight => {
  const forObserve = observeProblems(facts);
  const forEnforce = enforceProblems(facts, options);
  return {
    canObserve: forObserve.length === 0,
    canEnforce: forObserve.length === 0 && forEnforce.length === 0,
    reasons: [...forObserve, ...forEnforce],
    kernel: facts.kernel,
  };
};
