/** What a caller is told. Pure but for the dice, which come in. Contract: knowledge/shedding.md section 4. */
import type { PublishedLevel } from '../shed/level-board.ts';

export type SignalRoute = 'shed' | 'shed-403' | 'level' | 'none';

export interface Answer {
  status: 200 | 403 | 429;
  headers: Record<string, string | number>;
  body: string;
}

const isBelow = (path: string, prefix: string): boolean =>
  path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');

/** Only the prefix counts: proxies append what the end user sent. */
export const routeOf = (url: string): SignalRoute => {
  const target = url.startsWith('http://') ? url.slice(url.indexOf('/', 'http://'.length)) : url;
  const path = target.split('?', 1)[0] ?? '';
  if (isBelow(path, '/v1/shed')) return 'shed';
  if (isBelow(path, '/v1/shed-403')) return 'shed-403';
  return path === '/v1/level' ? 'level' : 'none';
};

const ALLOW_UNKNOWN: Answer = {
  status: 200,
  headers: { 'Content-Length': 0, 'Cache-Control': 'no-store', 'X-SCX-SLO-State': 'unknown' },
  body: '',
};

/** For callers that we do not know, and for whatever goes wrong on our side: fail open. */
export const allowUnknown = (): Answer => ALLOW_UNKNOWN;

const problem = (status: number, title: string): string =>
  JSON.stringify({ type: 'about:blank', title, status });

const DENY_BODY = {
  429: problem(429, 'Too Many Requests'),
  403: problem(403, 'Forbidden'),
} as const;

const SLOW_RELEASE_PER_S = 0.05;
const MAX_RETRY_AFTER_S = 15;

/** When the level may be gone, jittered so that callers do not come back together. @param dice 0 .. 1 */
export const retryAfterMs = (a: number, dice: number): number =>
  Math.min(MAX_RETRY_AFTER_S, Math.max(1, (a / SLOW_RELEASE_PER_S) * (0.5 + dice))) * 1000;

/** Proxies copy the headers of a denial to the end user: nothing about the pod or the node is in them. */
const deny = (status: 403 | 429, level: PublishedLevel, dice: number): Answer => ({
  status,
  headers: {
    'Retry-After': Math.ceil(retryAfterMs(level.a, dice) / 1000),
    'X-Envoy-Ratelimited': 1,
    'Cache-Control': 'no-store',
    'Content-Type': 'application/problem+json',
    'Content-Length': DENY_BODY[status].length,
  },
  body: DENY_BODY[status],
});

/** @param dice two numbers in 0 .. 1: the first decides, the second jitters. */
export const decide = (
  denyStatus: 403 | 429,
  level: PublishedLevel | undefined,
  dice: readonly [number, number],
): Answer => {
  if (level === undefined) return ALLOW_UNKNOWN;
  if (dice[0] < level.shed) return deny(denyStatus, level, dice[1]);
  return {
    status: 200,
    headers: {
      'Content-Length': 0,
      'Cache-Control': 'no-store',
      'X-SCX-SLO-Shed': level.shed.toFixed(2),
      'X-SCX-SLO-State': level.state,
    },
    body: '',
  };
};

/** Clients drop a level that is older than this. */
export const TTL_MS = 1_000;

export const levelBody = (level: PublishedLevel | undefined, ageMs: number, dice: number): string =>
  JSON.stringify({
    v: 1,
    shed: level?.shed ?? 0,
    state: level?.state ?? 'unknown',
    seq: level?.seq ?? 0,
    age_ms: Math.round(ageMs),
    ttl_ms: TTL_MS,
    retry_after_ms: level === undefined || level.shed === 0 ? 0 : Math.round(retryAfterMs(level.a, dice)),
    importance: level?.importance ?? 0,
  });

const MAX_WAIT_MS = 30_000;

/** `?wait=25000`, capped; 0 where there is none or it is no number. */
export const waitMsOf = (url: string): number => {
  const wait = /[?&]wait=([0-9]{1,6})(?:&|$)/.exec(url)?.[1];
  return Math.min(MAX_WAIT_MS, Number(wait ?? 0));
};
