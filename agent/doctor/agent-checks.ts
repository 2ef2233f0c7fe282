/** What the agent says, and how its scheduler ended last. Pure. */
import type { ExitRecord } from '../exit-record.ts';
import { type Failure, isFailure } from '../failure.ts';
import { exitText } from '../kernel/exit-kind.ts';
import { isOurs, type SchedExtState } from '../kernel/sched-ext-state.ts';
import { type Check, fail, ok, warn } from './check.ts';

/** What the doctor takes from /v1/exits. */
export interface AgentAnswer {
  version: string;
  mode: string;
  wantedMode: string;
  reason: { code: string; message: string; hint: string } | undefined;
  restart: { action: string; inSeconds: number };
  exits: ExitRecord[];
}

export interface AgentFacts {
  agent: AgentAnswer | Failure;
  schedExt: SchedExtState | undefined;
  /** Newest first. */
  kept: readonly ExitRecord[] | Failure;
  nowMs: number;
}

/** Passes by itself within seconds. */
const PASSING = 'HotplugReload';

const agentCheck = ({ agent }: AgentFacts): Check => {
  if (isFailure(agent)) return warn('agent', `${agent.what}: ${agent.why}`, agent.next);
  const { mode, wantedMode, reason, restart, version } = agent;
  if (reason === undefined) return ok('agent', `version ${version}, mode ${mode}, as asked for`);
  const soon = restart.inSeconds > 0 ? `; tried again in ${Math.ceil(restart.inSeconds)} s` : '';
  const text = `mode ${mode} instead of ${wantedMode}: ${reason.code}: ${reason.message}${soon}`;
  const judge = reason.code === PASSING ? warn : fail;
  return judge('agent', text, reason.hint);
};

/** The agent's word and the kernel's should be the same. */
const agreement = ({ agent, schedExt }: AgentFacts): Check[] => {
  if (schedExt === undefined) return [];
  const runs = schedExt.state === 'enabled' && isOurs(schedExt.ops);
  if (isFailure(agent)) {
    const text = 'our scheduler runs, but no agent answers';
    return runs
      ? [warn('scheduler', text, 'look for the agent’s process, and give its --local-address')]
      : [];
  }
  if ((agent.mode === 'enforce') === runs) return [];
  const text = `the agent says ${agent.mode}, the kernel says ${schedExt.state} ${schedExt.ops}`.trimEnd();
  return [warn('scheduler', text, 'ask again in a few seconds; if it stays so, restart the agent')];
};

const ago = (ms: number): string => {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  if (minutes < 120) return `${minutes} min ago`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h ago` : `${Math.round(minutes / 1440)} days ago`;
};

const describe = (record: ExitRecord, nowMs: number): string => {
  const dump = record.dump === '' ? '' : `, dump of ${record.dump.length} characters kept`;
  const when = `${record.at} (${ago(nowMs - Date.parse(record.at))})`;
  return `${when}: ${record.class}: ${exitText(record)}${dump}`;
};

/** Newest first; what the agent has in memory before what is on disk. */
export const exitsOf = ({ agent, kept }: Pick<AgentFacts, 'agent' | 'kept'>): readonly ExitRecord[] => {
  if (!isFailure(agent)) return agent.exits;
  return isFailure(kept) ? [] : kept;
};

const lastExit = (facts: AgentFacts): Check => {
  const { agent, kept, nowMs } = facts;
  if (isFailure(agent) && isFailure(kept)) return warn('last-exit', `${kept.what}: ${kept.why}`, kept.next);
  const records = exitsOf(facts);
  const notable = records.find((record) => record.class !== 'hotplug');
  if (notable !== undefined) {
    const next = notable.dump === '' ? 'nothing, if that was meant' : 'scx-slo doctor --dump shows it whole';
    return warn('last-exit', describe(notable, nowMs), next);
  }
  const [hotplug] = records;
  if (hotplug !== undefined) return ok('last-exit', describe(hotplug, nowMs));
  return ok('last-exit', 'none is known');
};

export const agentChecks = (facts: AgentFacts): Check[] => [
  agentCheck(facts),
  ...agreement(facts),
  lastExit(facts),
];

/** The dump to print: the newest there is. */
export const dumpOf = (records: readonly ExitRecord[]): ExitRecord | undefined =>
  records.find((record) => record.dump !== '');
