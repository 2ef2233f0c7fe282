/** The condition SchedExtReady of the Node: does our scheduler run it, and if not, why. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiFailure, isApiFailure } from '../../kube/api-failure.ts';
import { Backoff } from '../../kube/backoff.ts';
import type { ApiRequest, KubeConnection } from '../../kube/connection.ts';
import { type JsonObject, objectOf } from '../../kube/json.ts';
import { SerialRunner } from '../../kube/serial-runner.ts';
import type { NodeMode } from '../node-mode.ts';
import type { NodeStatus, Reporter } from './reporter.ts';

export const CONDITION_TYPE = 'SchedExtReady';

export interface Condition {
  status: 'True' | 'False';
  /** UpperCamelCase. */
  reason: string;
  message: string;
}

type Limits = Pick<ApiRequest, 'signal' | 'timeoutMs'>;

const STOPPED: Condition = {
  status: 'False',
  reason: 'AgentStopped',
  message: 'the agent was stopped; the kernel schedules this node by itself',
};
const LAST_WORD_MS = 1_500;
const MESSAGE_MAX = 1024;

export const conditionOf = ({ mode, wanted, reason }: NodeMode): Condition => {
  if (mode === 'enforce')
    return { status: 'True', reason: 'Enforcing', message: 'scx_slo schedules this node' };
  if (reason === undefined)
    return { status: 'False', reason: 'NotRequested', message: `mode ${mode}, as the operator asked for` };
  const message = `mode ${mode} instead of ${wanted}: ${reason.message}. Next: ${reason.hint}`;
  return { status: 'False', reason: reason.code, message: message.slice(0, MESSAGE_MAX) };
};

export interface NodeConditionOptions {
  connection: KubeConnection;
  nodeName: string;
  /** Once for each change; undefined: it works again. */
  onFailure: (failure: ApiFailure | undefined) => void;
  backoffMinMs?: number;
  /** Sent again after this, changed or not, so that a condition of a node without an agent shows its age. */
  heartbeatMs?: number;
}

const HEARTBEAT_MS = 30 * 60_000;
const BACKOFF_MIN_MS = 1_000;
const BACKOFF_MAX_MS = 5 * 60_000;

const rfc3339 = (epochMs: number): string => new Date(epochMs).toISOString().replace(/\.[0-9]{3}Z$/, 'Z');

const isSame = (a: Condition, b: Condition | undefined): boolean =>
  a.status === b?.status && a.reason === b.reason && a.message === b.message;

export class NodeConditionReporter implements Reporter {
  readonly #options: NodeConditionOptions;
  readonly #ending = new AbortController();
  readonly #backoff: Backoff;
  readonly #runner = new SerialRunner(() => this.#send());
  #wanted: Condition | undefined;
  #sent: Condition | undefined;
  #sentAtMs = 0;
  #transitionTime: string | undefined;
  #toldFailure = '';

  constructor(options: NodeConditionOptions) {
    this.#options = options;
    const { backoffMinMs = BACKOFF_MIN_MS } = options;
    this.#backoff = new Backoff({ minMs: backoffMinMs, maxMs: BACKOFF_MAX_MS });
  }

  onStatus({ mode }: NodeStatus): void {
    this.#wanted = conditionOf(mode);
    this.#runner.request();
  }

  /** Says, if that is quickly done, that nobody schedules here any more. */
  async stop(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    await this.#runner.idle();
    if (this.#sent !== undefined) await this.#patch(STOPPED, { timeoutMs: LAST_WORD_MS });
  }

  async #send(): Promise<void> {
    const { heartbeatMs = HEARTBEAT_MS } = this.#options;
    const { signal } = this.#ending;
    while (this.#wanted !== undefined && !signal.aborted) {
      const now = this.#wanted;
      if (isSame(now, this.#sent) && Date.now() - this.#sentAtMs < heartbeatMs) return;
      const failure = await this.#patch(now, { signal });
      if (signal.aborted) return;
      this.#tellFailure(failure);
      if (failure === undefined) this.#backoff.reset();
      else
        await sleep(this.#backoff.nextMs(failure.retryAfterMs), undefined, { signal }).catch(() => undefined);
    }
  }

  async #patch(now: Condition, limits: Limits): Promise<ApiFailure | undefined> {
    const nowMs = Date.now();
    if (this.#sent === undefined) {
      const before = await this.#request({}, limits);
      if (isApiFailure(before)) return before;
      const known = conditionIn(before);
      this.#transitionTime = known?.status === now.status ? known.lastTransitionTime : undefined;
    } else if (now.status !== this.#sent.status) {
      this.#transitionTime = undefined;
    }
    this.#transitionTime ??= rfc3339(nowMs);
    const times = { lastHeartbeatTime: rfc3339(nowMs), lastTransitionTime: this.#transitionTime };
    const answer = await this.#request(
      { status: { conditions: [{ type: CONDITION_TYPE, ...now, ...times }] } },
      limits,
    );
    if (isApiFailure(answer)) return answer;
    this.#sent = now;
    this.#sentAtMs = nowMs;
    return undefined;
  }

  /** An empty patch changes nothing and answers with the Node: what we may not get, we may patch. */
  #request(body: JsonObject, limits: Limits): Promise<JsonObject | ApiFailure> {
    return this.#options.connection.json({
      method: 'PATCH',
      path: `/api/v1/nodes/${encodeURIComponent(this.#options.nodeName)}/status`,
      // Conditions are merged by their type.
      contentType: 'application/strategic-merge-patch+json',
      body,
      ...limits,
    });
  }

  #tellFailure(failure: ApiFailure | undefined): void {
    const text = failure === undefined ? '' : `${failure.failed} ${failure.status ?? ''} ${failure.message}`;
    if (text === this.#toldFailure) return;
    this.#toldFailure = text;
    this.#options.onFailure(failure);
  }
}

const conditionIn = (node: JsonObject): { status: unknown; lastTransitionTime: string } | undefined => {
  const conditions = objectOf(node.status)?.conditions;
  const found = (Array.isArray(conditions) ? conditions : [])
    .map(objectOf)
    .find((condition) => condition?.type === CONDITION_TYPE);
  return typeof found?.lastTransitionTime === 'string'
    ? { status: found.status, lastTransitionTime: found.lastTransitionTime }
    : undefined;
};
