/** Asks the agent of this node over its local endpoint. */
import { exitRecordOf } from '../exit-record.ts';
import { type Failure, failure } from '../failure.ts';
import type { AgentAnswer } from './agent-checks.ts';

/** A node that is asked about is often a busy one. */
const LIMIT_MS = 10_000;

/** Where this process was starved between connecting and asking, the agent has answered 408 to nothing. */
const LATE = 408;
const TRIES = 3;

const getOnce = (url: string): Promise<Response> =>
  fetch(url, { signal: AbortSignal.timeout(LIMIT_MS), redirect: 'error' });

const get = async (url: string): Promise<Response> => {
  for (let tries = 1; ; tries += 1) {
    const answer = await getOnce(url);
    if (answer.status !== LATE || tries === TRIES) return answer;
  }
};

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {};

/** undefined: not the answer of an agent. Whatever listens there may answer anything. */
export const parseAnswer = (json: unknown): AgentAnswer | undefined => {
  const { version, mode, wantedMode, modeReason, restart, exits } = fields(json);
  if (typeof mode !== 'string' || typeof wantedMode !== 'string' || !Array.isArray(exits)) return undefined;
  const { code, message, hint } = fields(modeReason);
  const { action, inSeconds } = fields(restart);
  return {
    version: String(version),
    mode,
    wantedMode,
    reason:
      modeReason === null ? undefined : { code: String(code), message: String(message), hint: String(hint) },
    restart: { action: String(action), inSeconds: typeof inSeconds === 'number' ? inSeconds : 0 },
    exits: exits.map(exitRecordOf).filter((record) => record !== undefined),
  };
};

/** @param address HOST:PORT of the agent's --local-address. */
export const askAgent = async (address: string): Promise<AgentAnswer | Failure> => {
  const url = `http://${address}/v1/exits`;
  const none = (why: string): Failure =>
    failure(
      'SLO_E_NO_AGENT',
      `no agent answers at ${address}`,
      why,
      'start it with scx-slo run, or say where it listens with --local-address',
    );
  try {
    const answer = await get(url);
    if (!answer.ok) return none(`HTTP status ${answer.status}`);
    return parseAnswer(await answer.json()) ?? none('what answers there is no agent of this version');
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = fields(cause).code;
    return none(typeof code === 'string' ? code : String(cause instanceof Error ? cause.message : cause));
  }
};
