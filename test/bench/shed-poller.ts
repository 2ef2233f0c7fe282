/**
 * Follows the node's shed level for this pod: a long-poll of `GET <endpoint>/v1/level`, and level 0 whenever
 * the answer is missing or old (fail open). A plain stand-in for what client/ offers to applications.
 */
import { Agent, get } from 'node:http';

export interface ShedLevel {
  /** Share of requests to turn away, 0 .. 1. */
  shed: number;
  retryAfterSeconds: number;
}

const OPEN: ShedLevel = { shed: 0, retryAfterSeconds: 1 };

/** Reads the JSON of /v1/level; anything unexpected is "do not shed". */
export const parseLevel = (body: string): ShedLevel => {
  try {
    const level: unknown = JSON.parse(body);
    if (typeof level !== 'object' || level === null) return OPEN;
    const shed = 'shed' in level ? Number(level.shed) : 0;
    const retryAfterMs = 'retry_after_ms' in level ? Number(level.retry_after_ms) : 1000;
    if (!(shed >= 0 && shed <= 1)) return OPEN;
    return { shed, retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000) || 1) };
  } catch {
    return OPEN;
  }
};

export interface ShedPoller {
  current(): ShedLevel;
  stop(): void;
}

interface Answer {
  status: number;
  etag: string | undefined;
  body: string;
}

const ask = (url: string, etag: string | undefined, agent: Agent, timeoutMs: number): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = etag === undefined ? {} : { 'if-none-match': etag };
    const request = get(url, { agent, headers, timeout: timeoutMs }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        body += part;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, etag: response.headers.etag, body }),
      );
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
  });

export interface PollOptions {
  onLevel?: (level: ShedLevel) => void;
  /** Between an answer and the next question. */
  pauseMs?: number;
  /** How long the endpoint may wait for a change. */
  waitMs?: number;
  /** A level that cannot be renewed counts for this long: a pod that waits for a CPU is late with its questions. */
  holdMs?: number;
}

/** Polls until stopped. */
export const pollShedLevel = (endpoint: string, options: PollOptions = {}): ShedPoller => {
  const { pauseMs = 200, waitMs = 500, holdMs = 2000 } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let level = OPEN;
  let etag: string | undefined;
  let renewedMs = 0;
  let stopped = false;
  let pause: NodeJS.Timeout | undefined;
  const set = (next: ShedLevel): void => {
    level = next;
    options.onLevel?.(level);
  };
  const once = async (): Promise<void> => {
    try {
      const answer = await ask(`${endpoint}/v1/level?wait=${waitMs}`, etag, agent, waitMs + holdMs);
      if (answer.status !== 304) set(answer.status === 200 ? parseLevel(answer.body) : OPEN);
      etag = answer.etag;
      renewedMs = performance.now();
    } catch {
      // The agent restarts or is not there: serve everything.
      if (performance.now() - renewedMs > holdMs) set(OPEN);
      etag = undefined;
    }
    if (!stopped) pause = setTimeout(() => void once(), pauseMs);
  };
  pause = setTimeout(() => void once(), pauseMs);
  return {
    current: () => level,
    stop: () => {
      stopped = true;
      clearTimeout(pause);
      agent.destroy();
    },
  };
};
