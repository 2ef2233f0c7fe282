/** Options of a shedder. A bad value is replaced by its default and told once: an app must start all the same. */
import { clamp } from './level.ts';
import { type Endpoint, parseEndpoint } from './transport.ts';

export interface ShedderOptions {
  /** `http://HOST:PORT` or `unix:/PATH`. Default: the environment's SCX_SLO_ENDPOINT, then the cluster's Service. */
  endpoint?: string | undefined;
  /** `stream`: server-sent events (default). `poll`: long polls. `per-request`: asks about each request. */
  mode?: 'stream' | 'poll' | 'per-request' | undefined;
  /** Between two polls (200), ms. */
  pollMs?: number | undefined;
  /** How long a level counts after the signal's last word (1000, at most what the signal says), ms. */
  ttlMs?: number | undefined;
  /** Half-life of a level beyond that (1000), ms. */
  halfLifeMs?: number | undefined;
  /** How long a request may wait for an answer in mode `per-request` (50), ms. */
  timeoutMs?: number | undefined;
  /** What may be shed at most (0.95), 0 .. 1. */
  maxShed?: number | undefined;
  /** Overload that only this process sees; nothing is looked at unless a target is given. */
  local?: LocalOptions | undefined;
  /** Counts and calls hooks, but sheds nothing. */
  dryRun?: boolean | undefined;
  /** Tells the signal how long requests wait in this process and how many there are (true). */
  report?: boolean | undefined;
  /** Called for each decision, for metrics. What it throws is dropped. */
  onDecision?: ((decision: Decision) => void) | undefined;
  /** Called once for each bad option. Default: process.emitWarning. */
  onProblem?: ((problem: string) => void) | undefined;
}

export interface LocalOptions {
  /**
   * The pod's budget (default: the environment's SCX_SLO_BUDGET_MS), ms: a fifth of it is the target of the loop, and
   * what comes late in a long turn of it is rejected.
   */
  budgetMs?: number | undefined;
  /** How late the event loop may be, ms. */
  eventLoopDelayMs?: number | undefined;
  /** Busy share of the event loop from which its lateness counts (0.95). */
  utilization?: number | undefined;
  /** How long a request may wait in the app's own queue (see Shedder.queueWaited), ms. */
  queueMs?: number | undefined;
}

export interface Decision {
  shed: boolean;
  /** `agent`: the node's level; `local`: this process; undefined: allowed. */
  reason: 'agent' | 'local' | undefined;
  /** It was allowed only because of dryRun. */
  dryRun: boolean;
}

export interface Settings {
  endpoint: Endpoint;
  mode: 'stream' | 'poll' | 'per-request';
  pollMs: number;
  ttlMs: number;
  halfLifeMs: number;
  timeoutMs: number;
  maxShed: number;
  local: {
    budgetMs: number | undefined;
    eventLoopDelayMs: number | undefined;
    utilization: number;
    queueMs: number | undefined;
  };
  dryRun: boolean;
  report: boolean;
  onDecision: (decision: Decision) => void;
}

const SERVICE = 'http://scx-slo-signal.scx-slo-system.svc:7080';
const SERVICE_ENDPOINT: Endpoint = { host: 'scx-slo-signal.scx-slo-system.svc', port: 7080 };
const BUDGET_SHARE = 0.2;
/** Timers of Node are no better than this. */
const LEAST_DELAY_MS = 5;

const nothing = (): void => undefined;

/** Calls what the app gave us; what it throws is the app's business, but must not end in its requests. */
export const guarded = <A extends unknown[]>(
  hook: ((...args: A) => void) | undefined,
): ((...args: A) => void) =>
  typeof hook !== 'function'
    ? nothing
    : (...args) => {
        try {
          hook(...args);
        } catch {
          // told nowhere: a hook that throws would throw for each request
        }
      };

const warn = (problem: string): void => process.emitWarning(problem, 'ScxSloWarning');

/** @param env of the process. Never throws, whatever it gets. */
export const settingsOf = (
  given: ShedderOptions | null | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Settings => {
  const options: ShedderOptions = given ?? {};
  const problem = guarded(options.onProblem ?? warn);
  const number = (name: string, value: unknown, preset: number, least: number, most: number): number => {
    if (value === undefined) return preset;
    if (typeof value === 'number' && value >= least && value <= most) return value;
    problem(`scx-slo: ${name} is not a number in ${least} .. ${most}, ${preset} is used`);
    return preset;
  };
  const target = (name: string, value: unknown): number | undefined => {
    const ms = number(name, value, 0, 0, 60_000);
    return ms > 0 ? ms : undefined;
  };
  const modeOf = (): Settings['mode'] => {
    const { mode = 'stream' } = options;
    if (mode === 'stream' || mode === 'poll' || mode === 'per-request') return mode;
    problem('scx-slo: mode is none of stream, poll, per-request; stream is used');
    return 'stream';
  };
  const endpointOf = (): Endpoint => {
    const text = options.endpoint ?? env.SCX_SLO_ENDPOINT ?? SERVICE;
    const endpoint = typeof text === 'string' ? parseEndpoint(text) : undefined;
    if (endpoint === undefined)
      problem(`scx-slo: endpoint is neither http://HOST:PORT nor unix:/PATH, ${SERVICE} is used`);
    return endpoint ?? SERVICE_ENDPOINT;
  };
  const localOf = (): Settings['local'] => {
    const local: LocalOptions = options.local ?? {};
    const envBudget = env.SCX_SLO_BUDGET_MS === undefined ? undefined : Number(env.SCX_SLO_BUDGET_MS);
    const budgetMs = target('local.budgetMs', local.budgetMs ?? envBudget);
    const byBudget = budgetMs === undefined ? undefined : Math.max(LEAST_DELAY_MS, budgetMs * BUDGET_SHARE);
    return {
      budgetMs,
      eventLoopDelayMs: target('local.eventLoopDelayMs', local.eventLoopDelayMs) ?? byBudget,
      utilization: number('local.utilization', local.utilization, 0.95, 0, 1),
      queueMs: target('local.queueMs', local.queueMs) ?? byBudget,
    };
  };
  return {
    endpoint: endpointOf(),
    mode: modeOf(),
    pollMs: number('pollMs', options.pollMs, 200, 10, 10_000),
    ttlMs: number('ttlMs', options.ttlMs, 1_000, 100, 10_000),
    halfLifeMs: number('halfLifeMs', options.halfLifeMs, 1_000, 10, 10_000),
    timeoutMs: number('timeoutMs', options.timeoutMs, 50, 1, 10_000),
    maxShed: clamp(number('maxShed', options.maxShed, 0.95, 0, 1), 0, 1),
    local: localOf(),
    dryRun: options.dryRun === true,
    report: options.report !== false,
    onDecision: guarded(options.onDecision),
  };
};
