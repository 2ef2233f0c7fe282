/** Can this kernel measure and enforce? Every reason of preflight, not only the first. Pure. */
import { isFailure } from '../failure.ts';
import type { NodeFacts } from '../kernel/node-facts.ts';
import type { Mode } from '../kernel/port.ts';
import { enforceProblems, observeProblems, type Reason } from '../kernel/preflight.ts';
import { isOurs } from '../kernel/sched-ext-state.ts';
import { type Check, fail, ok, warn } from './check.ts';

export interface KernelQuestion {
  facts: NodeFacts;
  /** What the node is judged by. */
  wanted: Mode;
  /** An agent enforces here now: what would hinder another is no failure. */
  enforcing: boolean;
  /** An agent answers: what it may do is its own matter, and it says so. */
  agentAnswers: boolean;
}

interface Row {
  id: string;
  codes: readonly string[];
  /** Where nothing is wrong; undefined: the row does not apply. */
  ok(facts: NodeFacts): string | undefined;
}

const hasSchedExt = (facts: NodeFacts): boolean => facts.schedExt !== undefined;

const ROWS: readonly Row[] = [
  { id: 'btf', codes: ['NoBtf', 'MalformedBtf'], ok: () => 'the kernel has type information that fits' },
  { id: 'cgroup', codes: ['NoCgroupV2'], ok: ({ cgroup2 }) => `cgroup v2 at ${cgroup2}` },
  {
    id: 'sched-ext',
    codes: ['NoSchedExt'],
    ok: () => 'the kernel has sched_ext',
  },
  {
    id: 'isolated-cpus',
    codes: ['IsolatedCpus'],
    ok: (facts) => (hasSchedExt(facts) ? 'no CPU was taken out with isolcpus=' : undefined),
  },
  {
    id: 'attach-hang',
    codes: ['AttachHang'],
    ok: (facts) =>
      facts.types === undefined || isFailure(facts.types) || !hasSchedExt(facts)
        ? undefined
        : 'attaching to a saturated node is safe (fix for CVE-2026-43392 is in)',
  },
  {
    id: 'other-scheduler',
    codes: ['OtherScheduler'],
    ok: ({ schedExt }) => {
      if (schedExt === undefined) return undefined;
      return isOurs(schedExt.ops) ? 'our scheduler runs' : 'no sched_ext scheduler runs';
    },
  },
];

const CAPABILITY = 'NoCapability';

const capabilities = (reasons: readonly Reason[], { facts, agentAnswers }: KernelQuestion): Check => {
  const id = 'capabilities';
  const missing = reasons.find(({ code }) => code === CAPABILITY);
  if (agentAnswers) return ok(id, 'the agent answers, and says itself what it lacks (see agent)');
  if (missing !== undefined)
    return warn(id, 'this shell has not the capabilities that the agent needs', missing.hint);
  if (facts.capabilities === undefined)
    return warn(id, '/proc/self/status is not readable', 'mount /proc, then ask again');
  return ok(id, 'this shell has CAP_BPF and CAP_PERFMON');
};

export const kernelChecks = (question: KernelQuestion): Check[] => {
  const { facts, wanted, enforcing } = question;
  const observe = observeProblems(facts);
  // risks that an operator may take are named here all the same
  const enforce = enforceProblems(facts, { allowAttachHang: false });
  const judge = (id: string, reason: Reason): Check => {
    const blocks = observe.includes(reason) || wanted === 'enforce';
    return blocks && !enforcing
      ? fail(id, reason.message, reason.hint)
      : warn(id, reason.message, reason.hint);
  };
  const reasons = [...observe, ...enforce].filter(({ code }) => code !== CAPABILITY);
  const known = new Set(ROWS.flatMap(({ codes }) => codes));
  const rows = ROWS.flatMap((row) => {
    const wrong = reasons.filter(({ code }) => row.codes.includes(code));
    if (wrong.length > 0) return wrong.map((reason) => judge(row.id, reason));
    const text = row.ok(facts);
    return text === undefined ? [] : [ok(row.id, text)];
  });
  const others = reasons.filter(({ code }) => !known.has(code)).map((reason) => judge(reason.code, reason));
  return [
    ok('kernel', `Linux ${facts.kernel}`),
    ...rows,
    ...others,
    capabilities(observe, question),
    ...realtime(facts),
  ];
};

/** Without the server, realtime tasks on all CPUs starve sched_ext until the watchdog ends it. */
const realtime = ({ types, schedExt }: NodeFacts): Check[] => {
  if (schedExt === undefined || types === undefined || isFailure(types)) return [];
  const id = 'realtime-neighbours';
  if (types.hasExtServer) return [ok(id, 'a deadline server keeps CPU for pods beside realtime tasks')];
  const text = 'realtime tasks that fill a CPU starve pods there, and the kernel then ends the scheduler';
  return [warn(id, text, 'keep realtime tasks within a share of each CPU, or use Linux 7.0 or newer')];
};
