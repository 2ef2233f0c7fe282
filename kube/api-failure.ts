/** Why a request to the API server gave no answer that can be used. A value, never thrown by a request. */
import type { IncomingHttpHeaders } from 'node:http';
import { objectOf, textOf } from './json.ts';

export interface ApiFailure {
  readonly failed: 'http' | 'network' | 'credentials' | 'protocol' | 'timeout' | 'stopped';
  /** HTTP status, or the code of a Status object inside a watch. */
  readonly status?: number;
  /** Of the Status object: Expired, TooManyRequests, NotFound and so on. */
  readonly reason?: string;
  readonly message: string;
  /** The server asks not to be asked again before this. */
  readonly retryAfterMs?: number;
}

export const apiFailure = (
  failed: ApiFailure['failed'],
  message: string,
  more: Omit<ApiFailure, 'failed' | 'message'> = {},
): ApiFailure => ({ failed, message, ...more });

export const isApiFailure = (value: unknown): value is ApiFailure =>
  typeof value === 'object' && value !== null && 'failed' in value && 'message' in value;

export const GONE = 410;

/** The version that was asked for is no longer kept: only a new list helps. */
export const isExpired = ({ status, reason }: ApiFailure): boolean =>
  status === GONE || reason === 'Expired' || reason === 'Gone';

/**
 * The server does not know the version that was asked for yet: it lags behind the one that was asked before, or its
 * store was put back to an older state. Only a list without a version is sure to be answered.
 */
export const isVersionTooLarge = ({ status, reason, message }: ApiFailure): boolean =>
  (status === 504 || reason === 'Timeout') && message.includes('Too large resource version');

/** A minute is the longest that kube-apiserver asks for; more would be a way to switch a client off. */
const RETRY_AFTER_MAX_MS = 120_000;
const MESSAGE_MAX = 300;

const cut = (text: string): string => (text.length > MESSAGE_MAX ? `${text.slice(0, MESSAGE_MAX)}...` : text);

const boundedMs = (ms: number): number | undefined =>
  Number.isFinite(ms) && ms > 0 ? Math.min(ms, RETRY_AFTER_MAX_MS) : undefined;

/** @param value the header Retry-After: seconds, or a date (RFC 9110, 10.2.3). */
export const parseRetryAfterMs = (value: unknown, nowMs: number): number | undefined => {
  if (typeof value !== 'string') return undefined;
  if (/^[0-9]{1,9}$/.test(value)) return boundedMs(Number(value) * 1000);
  // Date.parse takes `-3` for a year.
  return /^[A-Z][a-z]+,? /.test(value) ? boundedMs(Date.parse(value) - nowMs) : undefined;
};

/** From a `kind: Status`, as a body or inside a watch. */
export const failureOfStatus = (
  value: unknown,
  fallback: { status?: number; message: string },
): ApiFailure => {
  const object = objectOf(value);
  const code = typeof object?.code === 'number' ? object.code : fallback.status;
  const reason = textOf(object?.reason);
  const seconds = objectOf(object?.details)?.retryAfterSeconds;
  const retryAfterMs = typeof seconds === 'number' ? boundedMs(seconds * 1000) : undefined;
  return apiFailure('http', cut(textOf(object?.message) ?? fallback.message), {
    ...(code === undefined ? {} : { status: code }),
    ...(reason === undefined ? {} : { reason }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
};

const parsed = (body: string): unknown => {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
};

/** From an answer that is not 2xx; proxies in between answer with anything. */
export const failureOfResponse = (
  status: number,
  headers: IncomingHttpHeaders,
  body: string,
  nowMs: number,
): ApiFailure => {
  const text = body.trim() === '' ? `HTTP status ${status}` : `HTTP status ${status}: ${body.trim()}`;
  const failure = failureOfStatus(parsed(body), { status, message: text });
  const retryAfterMs = parseRetryAfterMs(headers['retry-after'], nowMs) ?? failure.retryAfterMs;
  return { ...failure, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
};

export const apiFailureText = ({ failed, status, reason, message }: ApiFailure): string => {
  const what = [failed === 'http' ? undefined : failed, status, reason].filter((part) => part !== undefined);
  return what.length === 0 ? message : `${message} (${what.join(', ')})`;
};
