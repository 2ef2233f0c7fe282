/** What a caller is told. Pure but for the dice, which come in. Contract: docs/signal.md. */
import type { CallerLevel } from './level-table.ts';

export type SignalRoute = 'shed' | 'shed-403' | 'level' | 'stream' | 'status' | 'report' | 'none';

export interface Answer {
  status: 200 | 403 | 429;
  headers: Readonly<Record<string, string | number>>;
  body: string;
}

const isBelow = (path: string, prefix: string): boolean =>
  path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');

/** The path of `http://host/path`, which proxies send, and of `/path`. */
const pathOf = (url: string): string => {
  const end = url.indexOf('?');
  const target = end === -1 ? url : url.slice(0, end);
  if (target.startsWith('/')) return target;
  const authority = target.indexOf('://');
  if (authority === -1) return '';
  const path = target.indexOf('/', authority + 3);
  return path === -1 ? '' : target.slice(path);
};

const EXACT: Readonly<Record<string, SignalRoute>> = {
  '/v1/level': 'level',
  '/v1/level/stream': 'stream',
  '/v1/status': 'status',
  '/v1/report': 'report',
};

/** Of decisions only the prefix counts: proxies append what the end user sent. */
export const routeOf = (url: string): SignalRoute => {
  const path = pathOf(url);
  if (isBelow(path, '/v1/shed')) return 'shed';
  if (isBelow(path, '/v1/shed-403')) return 'shed-403';
  return Object.hasOwn(EXACT, path) ? (EXACT[path] ?? 'none') : 'none';
};

const allow = (headers: Record<string, string>): Answer => ({
  status: 200,
  headers: { 'Content-Length': 0, 'Cache-Control': 'no-store', ...headers },
  body: '',
});

/** For callers that we do not know, and for whatever goes wrong on our side: fail open. */
export const ALLOW_UNKNOWN: Answer = allow({ 'X-SCX-SLO-State': 'unknown' });

const problem = (status: number, title: string): string =>
  JSON.stringify({ type: 'about:blank', title, status });

/** Problems of the JSON routes; a decision is never answered with one. */
export const PROBLEMS = {
  400: problem(400, 'Bad Request'),
  405: problem(405, 'Method Not Allowed'),
  413: problem(413, 'Content Too Large'),
} as const;

const DENY_BODY = {
  429: problem(429, 'Too Many Requests'),
  403: problem(403, 'Forbidden'),
} as const;

const SLOW_RELEASE_PER_S = 0.05;
const MAX_RETRY_AFTER_S = 15;

/** -ln of the share that is admitted: what the controller works in. */
const logAdmission = (shed: number): number => -Math.log(1 - shed);

/** When the level may be gone, jittered so that callers do not come back together. @param dice 0 .. 1 */
export const retryAfterMs = (shed: number, dice: number): number =>
  Math.min(MAX_RETRY_AFTER_S, Math.max(1, (logAdmission(shed) / SLOW_RELEASE_PER_S) * (0.5 + dice))) * 1000;

/** Proxies copy the headers of a denial to the end user: nothing about the pod or the node is in them. */
const denial = (status: 403 | 429, retryAfterS: number): Answer => ({
  status,
  headers: {
    'Retry-After': retryAfterS,
    'X-Envoy-Ratelimited': 1,
    'Cache-Control': 'no-store',
    'Content-Type': 'application/problem+json',
    'Content-Length': DENY_BODY[status].length,
  },
  body: DENY_BODY[status],
});

const denials = (status: 403 | 429): Answer[] =>
  Array.from({ length: MAX_RETRY_AFTER_S }, (_, index) => denial(status, index + 1));

/** Made once: a decision builds nothing. */
const DENIALS = { 403: denials(403), 429: denials(429) } as const;

const admissions = new WeakMap<CallerLevel, Answer>();

const admission = (level: CallerLevel): Answer => {
  const known = admissions.get(level);
  if (known !== undefined) return known;
  const answer = allow({ 'X-SCX-SLO-Shed': level.shed.toFixed(2), 'X-SCX-SLO-State': level.state });
  admissions.set(level, answer);
  return answer;
};

/** @param dice two numbers in 0 .. 1: the first decides, the second jitters. */
export const decide = (
  denyStatus: 403 | 429,
  level: CallerLevel | undefined,
  dice: readonly [number, number],
): Answer => {
  if (level === undefined) return ALLOW_UNKNOWN;
  if (dice[0] >= level.shed) return admission(level);
  const retryAfterS = Math.ceil(retryAfterMs(level.shed, dice[1]) / 1000);
  return DENIALS[denyStatus][retryAfterS - 1] ?? ALLOW_UNKNOWN;
};

/** Clients drop a level that is older than this. */
export const TTL_MS = 1_000;

/** JSON has no Infinity: an age before the first round is a day. */
const MAX_AGE_MS = 86_400_000;
const ageText = (ageMs: number): number => Math.round(Math.min(ageMs, MAX_AGE_MS));

export const levelBody = (level: CallerLevel | undefined, ageMs: number, dice: number): string =>
  JSON.stringify({
    v: 1,
    shed: level?.shed ?? 0,
    state: level?.state ?? 'unknown',
    seq: level?.seq ?? 0,
    age_ms: ageText(ageMs),
    ttl_ms: TTL_MS,
    retry_after_ms: level === undefined || level.shed === 0 ? 0 : Math.round(retryAfterMs(level.shed, dice)),
    importance: level?.said.importance ?? 0,
  });

export const heartbeatBody = (level: CallerLevel | undefined, ageMs: number): string =>
  JSON.stringify({ v: 1, seq: level?.seq ?? 0, age_ms: ageText(ageMs), ttl_ms: TTL_MS });

/** The caller's own numbers; what is the node's (how busy it is) is left out. */
export const statusBody = (level: CallerLevel | undefined, ageMs: number): string => {
  const inputs = level?.said.inputs;
  return JSON.stringify({
    v: 1,
    shed: level?.shed ?? 0,
    computed_shed: level?.said.computedRatio ?? 0,
    state: level?.state ?? 'unknown',
    reason: level?.said.reason ?? '',
    importance: level?.said.importance ?? 0,
    age_ms: ageText(ageMs),
    budget_ms: inputs?.budgetMs ?? null,
    wait_p95_ms: inputs?.waitP95Ms ?? null,
    miss_ratio: inputs?.missRatio ?? null,
    pressure: inputs?.pressure ?? null,
    throttled: inputs?.throttled ?? null,
    queue_wait_ms: inputs?.queueWaitMs ?? null,
    severity: inputs?.severity ?? null,
    demand_cpus: inputs?.demandCpus ?? null,
  });
};

const MAX_WAIT_MS = 30_000;

/** `?wait=25000`, capped; 0 where there is none or it is no number. */
export const waitMsOf = (url: string): number => {
  const wait = /[?&]wait=([0-9]{1,6})(?:&|$)/.exec(url)?.[1];
  return Math.min(MAX_WAIT_MS, Number(wait ?? 0));
};
