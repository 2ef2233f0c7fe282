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

/** A level is worth nothing once it is a second old: pause, wait and time-out together stay near that. */
export const pollShedLevel = (endpoint: string, pauseMs = 200, waitMs = 500): ShedPoller => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let level = OPEN;
  let etag: string | undefined;
  let stopped = false;
  let pause: NodeJS.Timeout | undefined;
  const next = (): void => {
    if (!stopped) pause = setTimeout(() => void once(), pauseMs);
  };
  const once = async (): Promise<void> => {
    try {
      const answer = await ask(`${endpoint}/v1/level?wait=${waitMs}`, etag, agent, waitMs + 300);
      if (answer.status !== 304) level = answer.status === 200 ? parseLevel(answer.body) : OPEN;
      etag = answer.etag;
    } catch {
      // The agent restarts or is not there: serve everything.
      level = OPEN;
      etag = undefined;
    }
    next();
  };
  next();
  return {
    current: () => level,
    stop: () => {
      stopped = true;
      clearTimeout(pause);
      agent.destroy();
    },
  };
};
