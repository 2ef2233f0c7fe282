/** What `GET /v1/level` and the stream say. Pure; whatever is not a level is undefined, and the caller then opens. */

/** `stale`: the node's numbers are old. `unknown`: the signal does not know this pod, or was never reached. */
export type ShedState = 'ok' | 'shedding' | 'degraded' | 'stale' | 'unknown';

export interface Level {
  /** Share of requests to reject, 0 .. 1. */
  shed: number;
  state: ShedState;
  /** ms after which the level may be lower; 0 where nothing is shed. */
  retryAfterMs: number;
  /** ms for which the level counts after it was last confirmed. */
  ttlMs: number;
}

const STATES: ReadonlySet<string> = new Set(['ok', 'shedding', 'degraded', 'stale', 'unknown']);
const MAX_RETRY_AFTER_MS = 60_000;
const TTL_RANGE_MS: readonly [number, number] = [200, 5_000];
const DEFAULT_TTL_MS = 1_000;

export const clamp = (value: number, least: number, most: number): number =>
  Math.min(most, Math.max(least, value));

const finite = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;

/** @param body JSON text. @returns undefined where there is no share in 0 .. 1. */
export const parseLevel = (body: string): Level | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const json = value as Readonly<Record<string, unknown>>;
  const shed = finite(json.shed);
  if (shed === undefined || shed < 0 || shed > 1) return undefined;
  const state = typeof json.state === 'string' && STATES.has(json.state) ? json.state : undefined;
  return {
    shed,
    state: (state as ShedState | undefined) ?? (shed > 0 ? 'shedding' : 'ok'),
    retryAfterMs: clamp(finite(json.retry_after_ms) ?? 0, 0, MAX_RETRY_AFTER_MS),
    ttlMs: clamp(finite(json.ttl_ms) ?? DEFAULT_TTL_MS, ...TTL_RANGE_MS),
  };
};
