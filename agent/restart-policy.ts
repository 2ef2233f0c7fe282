/**
 * When the scheduler is loaded again after it left or could not be loaded. Pure: what is remembered and what
 * happened in, a decision and what to remember out. Times are milliseconds of one monotonic clock.
 */
import type { Failure } from './failure.ts';
import { EXIT_KIND, exitClass } from './kernel/exit-kind.ts';
import type { ExitInfo } from './kernel/port.ts';

/**
 * - `hotplug`: CPUs came or went. No fault: load again with the new topology.
 * - `failure`: our scheduler, or loading it, failed. It may work later.
 * - `busy`: somebody else's scheduler runs. Look again now and then.
 * - `operator`: a person ended it. It is not for us to undo that.
 * - `hopeless`: trying again changes nothing, or does harm (an attach that hangs blocks every fork).
 */
export type Cause = 'hotplug' | 'failure' | 'busy' | 'operator' | 'hopeless';

export interface RestartMemory {
  /** Failures of the last hour. */
  failuresMs: readonly number[];
  /** Failures without a long healthy run between them: the exponent of the back-off. */
  streak: number;
  /** Reloads for hotplug within the storm window. */
  hotplugsMs: readonly number[];
}

export const NO_MEMORY: RestartMemory = { failuresMs: [], streak: 0, hotplugsMs: [] };

export type Decision =
  | { action: 'reload'; delayMs: number }
  | { action: 'backOff'; delayMs: number }
  | { action: 'lookAgain'; delayMs: number }
  | { action: 'stayOff'; why: 'operator' | 'repeated-failure' | 'hopeless' };

export interface Happening {
  cause: Cause;
  nowMs: number;
  /** How long the scheduler ran before; 0: it could not be loaded. */
  ranMs: number;
  /** 0 .. 1, for the jitter: nodes that fail together should not come back together. */
  random: number;
}

const MINUTE_MS = 60_000;

/** 10 s, 30 s, 90 s, 270 s, 810 s, then 15 min, each +- 20 %. */
const FIRST_PAUSE_MS = 10_000;
const PAUSE_FACTOR = 3;
const MAX_PAUSE_MS = 15 * MINUTE_MS;
const JITTER = 0.2;
/** A run this long says that what failed before is over. */
const HEALTHY_RUN_MS = 30 * MINUTE_MS;
const FAILURE_WINDOW_MS = 60 * MINUTE_MS;
/** This many failures within the window: stay off until a person looks at it. */
export const MAX_FAILURES = 5;
/** Reloads for hotplug that are free within the window; more than that is a storm, served once a minute. */
const HOTPLUG_WINDOW_MS = 10 * MINUTE_MS;
export const FREE_HOTPLUGS = 10;
const STORM_PAUSE_MS = MINUTE_MS;
const LOOK_AGAIN_MS = MINUTE_MS;

const spread = (pauseMs: number, random: number): number => pauseMs * (1 - JITTER + 2 * JITTER * random);

const since = (timesMs: readonly number[], startMs: number): number[] =>
  timesMs.filter((atMs) => atMs > startMs);

const afterHotplug = (
  memory: RestartMemory,
  { nowMs, random }: Happening,
): { memory: RestartMemory; decision: Decision } => {
  const recent = since(memory.hotplugsMs, nowMs - HOTPLUG_WINDOW_MS);
  const delayMs = recent.length < FREE_HOTPLUGS ? 0 : spread(STORM_PAUSE_MS, random);
  // the newest are enough to know a storm, whatever its pace
  const hotplugsMs = [...recent, nowMs].slice(-FREE_HOTPLUGS);
  return { memory: { ...memory, hotplugsMs }, decision: { action: 'reload', delayMs } };
};

const afterFailure = (
  memory: RestartMemory,
  { nowMs, ranMs, random }: Happening,
): { memory: RestartMemory; decision: Decision } => {
  const failuresMs = [...since(memory.failuresMs, nowMs - FAILURE_WINDOW_MS), nowMs].slice(-MAX_FAILURES);
  const streak = (ranMs >= HEALTHY_RUN_MS ? 0 : memory.streak) + 1;
  const next = { ...memory, failuresMs, streak };
  if (failuresMs.length >= MAX_FAILURES)
    return { memory: next, decision: { action: 'stayOff', why: 'repeated-failure' } };
  const pauseMs = spread(FIRST_PAUSE_MS * PAUSE_FACTOR ** (streak - 1), random);
  return { memory: next, decision: { action: 'backOff', delayMs: Math.min(pauseMs, MAX_PAUSE_MS) } };
};

export const decideRestart = (
  memory: RestartMemory,
  happening: Happening,
): { memory: RestartMemory; decision: Decision } => {
  switch (happening.cause) {
    case 'hotplug':
      return afterHotplug(memory, happening);
    case 'failure':
      return afterFailure(memory, happening);
    case 'busy':
      return { memory, decision: { action: 'lookAgain', delayMs: spread(LOOK_AGAIN_MS, happening.random) } };
    case 'operator':
    case 'hopeless':
      return { memory, decision: { action: 'stayOff', why: happening.cause } };
  }
};

/** A link that was closed and not by us was closed by a person, with bpftool. */
export const causeOfExit = (exit: ExitInfo): Cause => {
  const what = exitClass(exit);
  if (what === 'hotplug') return 'hotplug';
  return what === 'sysrq' || exit.kind === EXIT_KIND.UNREG ? 'operator' : 'failure';
};

const CAUSE_OF_FAILURE: Readonly<Record<string, Cause>> = {
  SLO_E_HOTPLUG: 'hotplug',
  SLO_E_OTHER_SCHEDULER: 'busy',
  // the kernel refused or ended it while it was being attached, or memory was short: may pass
  SLO_E_ATTACH: 'failure',
  SLO_E_BPF_LOAD: 'failure',
};

/** Why the scheduler could not be loaded. */
export const causeOfFailure = ({ code }: Failure): Cause => CAUSE_OF_FAILURE[code] ?? 'hopeless';
