/**
 * What the agent and the signal process say to each other: one JSON value a line over a Unix socket. Pure. Each side
 * reads what comes as if it were hostile; the signal process faces the pods, so the agent has reason to.
 */
import type { PodLevel, ShedInputs, ShedStateName } from '../shed/feed.ts';
import type { LevelUpdate } from './level-table.ts';

/** A cgroup of the agent's config file and the user that may ask in its name. */
export interface CgroupOwner {
  path: string;
  uid: number;
  gid: number;
}

/** Agent to signal. */
export type AgentMessage = ({ t: 'round' } & LevelUpdate) | { t: 'cgroups'; cgroups: readonly CgroupOwner[] };

/** How many requests each caller made since the last message. */
export interface AnswerCount {
  key: string;
  allowed: number;
  denied: number;
}

/** Signal to agent. */
export type SignalMessage =
  | { t: 'report'; podUid: string; queueWaitMs: number }
  | { t: 'answers'; answers: readonly AnswerCount[]; unknown: number };

/** A full round of 16,384 levels is some 8 MB. */
export const MAX_AGENT_LINE_BYTES = 32 * 1024 * 1024;
export const MAX_SIGNAL_LINE_BYTES = 4 * 1024 * 1024;

export const encode = (message: AgentMessage | SignalMessage): string => `${JSON.stringify(message)}\n`;

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const text = (value: unknown): value is string => typeof value === 'string';

const amount = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : 0;

const amountOrNull = (value: unknown): number | null => (value === null ? null : amount(value));

const STATES: readonly ShedStateName[] = ['ok', 'shedding', 'degraded', 'stale'];
const MAX_SHED = 0.95;

const inputsOf = (value: unknown): ShedInputs => {
  const fields = fieldsOf(value) ?? {};
  return {
    budgetMs: amount(fields.budgetMs),
    waitP95Ms: amount(fields.waitP95Ms),
    missRatio: amount(fields.missRatio),
    pressure: amountOrNull(fields.pressure),
    throttled: amount(fields.throttled),
    queueWaitMs: amountOrNull(fields.queueWaitMs),
    severity: amount(fields.severity),
    nodeBusy: amount(fields.nodeBusy),
    demandCpus: amount(fields.demandCpus),
  };
};

const levelOf = (value: unknown): PodLevel | undefined => {
  const fields = fieldsOf(value);
  const state = STATES.find((name) => name === fields?.state);
  if (fields === undefined || state === undefined || !text(fields.key) || !text(fields.podUid)) {
    return undefined;
  }
  return {
    key: fields.key,
    podUid: fields.podUid,
    podIps: listOf(fields.podIps).filter(text),
    importance: amount(fields.importance),
    shedRatio: Math.min(MAX_SHED, amount(fields.shedRatio)),
    computedRatio: Math.min(MAX_SHED, amount(fields.computedRatio)),
    state,
    reason: text(fields.reason) ? fields.reason : '',
    inputs: inputsOf(fields.inputs),
  };
};

const cgroupOf = (value: unknown): CgroupOwner | undefined => {
  const { path, uid, gid } = fieldsOf(value) ?? {};
  if (!text(path) || !path.startsWith('/')) return undefined;
  return { path, uid: amount(uid), gid: amount(gid) };
};

const parsed = (line: string): Fields | undefined => {
  try {
    return fieldsOf(JSON.parse(line));
  } catch {
    return undefined;
  }
};

const known = <T>(values: readonly (T | undefined)[]): T[] => values.filter((value) => value !== undefined);

/** @returns undefined for what is no message; bad entries of one are left out. */
export const parseAgentMessage = (line: string): AgentMessage | undefined => {
  const fields = parsed(line);
  if (fields?.t === 'cgroups') return { t: 'cgroups', cgroups: known(listOf(fields.cgroups).map(cgroupOf)) };
  if (fields?.t !== 'round') return undefined;
  return {
    t: 'round',
    full: fields.full === true,
    levels: known(listOf(fields.levels).map(levelOf)),
    gone: listOf(fields.gone).filter(text),
  };
};

const answerOf = (value: unknown): AnswerCount | undefined => {
  const { key, allowed, denied } = fieldsOf(value) ?? {};
  return text(key) ? { key, allowed: amount(allowed), denied: amount(denied) } : undefined;
};

/** @returns undefined for what is no message; bad entries of one are left out. */
export const parseSignalMessage = (line: string): SignalMessage | undefined => {
  const fields = parsed(line);
  if (fields?.t === 'answers') {
    const answers = known(listOf(fields.answers).map(answerOf));
    return { t: 'answers', answers, unknown: amount(fields.unknown) };
  }
  if (fields?.t !== 'report' || !text(fields.podUid)) return undefined;
  const queueWaitMs = amountOrNull(fields.queueWaitMs ?? null);
  return queueWaitMs === null ? undefined : { t: 'report', podUid: fields.podUid, queueWaitMs };
};

/** Cuts a byte stream into lines. */
export class LineReader {
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number, onLine: (line: string) => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
  }

  /** @returns false: a line is longer than is allowed; nothing more may be read from that peer. */
  push(chunk: Buffer): boolean {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      this.#keep(chunk.subarray(from, end));
      if (this.#bytes > this.#maxBytes) return false;
      const line = Buffer.concat(this.#pieces).toString();
      this.#pieces = [];
      this.#bytes = 0;
      from = end + 1;
      this.#onLine(line);
    }
    this.#keep(chunk.subarray(from));
    return this.#bytes <= this.#maxBytes;
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }
}
