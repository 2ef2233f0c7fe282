/**
 * Whether this process should reject a request now. Follows the node's signal, watches its own event loop and queue,
 * and fails open: whatever goes wrong, requests are served. Nothing here throws into the app, and nothing keeps its
 * process alive.
 */
import { AskEach } from './ask-each.ts';
import { Cursor, type Wish } from './cursor.ts';
import { EventLoopWatch, type Turn } from './event-loop.ts';
import { type ExpressMiddleware, expressMiddleware } from './express.ts';
import { PollFollower } from './follow-poll.ts';
import { StreamFollower } from './follow-stream.ts';
import type { Follower } from './follower.ts';
import { type HttpListener, httpListener } from './http.ts';
import { clamp, type ShedState } from './level.ts';
import { LevelMemory } from './level-memory.ts';
import { LocalGuard } from './local-guard.ts';
import { metricsText, type ShedMetrics } from './metrics.ts';
import { type Decision, guarded, type Settings, type ShedderOptions, settingsOf } from './options.ts';
import { Reporter } from './reporter.ts';
import type { RequestOptions } from './request-rules.ts';
import { Transport } from './transport.ts';
import { shedInTurn, TurnAge } from './turn-age.ts';
import { Waits } from './waits.ts';

export type ShedEvent = 'change' | 'stale' | 'recover';

const LONG_POLL_MS = 500;
const POLL_TIMEOUT_MS = 2_000;
/** The signal takes 64 from an address, which several processes of a pod may share. */
const MAX_SOCKETS = 16;
const MAX_RETRY_AFTER_MS = 15_000;
/** A local overload has no forecast. */
const LOCAL_RETRY_AFTER_MS = 1_000;

const followerOf = (settings: Settings, transport: Transport, memory: LevelMemory): Follower | undefined => {
  if (settings.mode === 'per-request') return undefined;
  const sink = {
    onLevel: (level: Parameters<LevelMemory['renew']>[0]) => memory.renew(level, performance.now()),
    onConfirm: () => memory.confirm(performance.now()),
  };
  const timing = { pollMs: settings.pollMs, waitMs: LONG_POLL_MS, timeoutMs: POLL_TIMEOUT_MS };
  return settings.mode === 'stream'
    ? new StreamFollower(transport, sink, timing)
    : new PollFollower(transport, sink, timing);
};

export class Shedder {
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #memory: LevelMemory;
  readonly #guard: LocalGuard;
  readonly #follower: Follower | undefined;
  readonly #askEach: AskEach;
  readonly #reporter: Reporter;
  readonly #watch: EventLoopWatch;
  readonly #waits = new Waits();
  readonly #cursor = new Cursor();
  readonly #turnAge = new TurnAge();
  readonly #listeners: Record<ShedEvent, Set<() => void>> = {
    change: new Set(),
    stale: new Set(),
    recover: new Set(),
  };
  readonly #counts = { allowed: 0, shedByAgent: 0, shedByLocal: 0, wouldShed: 0 };
  #reported = { accepted: 0, rejected: 0 };
  #inflight = 0;
  #askedRetryAfterMs = 0;
  #seen = { level: 0, isStale: false };

  constructor(options?: ShedderOptions) {
    const settings = settingsOf(options, process.env);
    this.#settings = settings;
    this.#transport = new Transport(settings.endpoint, MAX_SOCKETS);
    this.#memory = new LevelMemory(settings);
    this.#guard = new LocalGuard(settings.local, settings.maxShed);
    this.#follower = followerOf(settings, this.#transport, this.#memory);
    this.#askEach = new AskEach(this.#transport, settings.timeoutMs);
    this.#reporter = new Reporter(this.#transport);
    this.#watch = new EventLoopWatch((turn) => this.#turn(turn));
  }

  /** Share of requests to reject now, 0 .. 1. In mode `per-request` only what this process itself asks for. */
  get level(): number {
    return Math.max(this.#memory.shed, this.#guard.shed);
  }

  get state(): ShedState {
    const { state } = this.#memory;
    return this.#guard.shed > 0 && (state === 'ok' || state === 'unknown') ? 'shedding' : state;
  }

  /** When a rejected caller may come back; jittered, so that they do not come together. */
  get retryAfterMs(): number {
    const ms = Math.max(this.#memory.retryAfterMs, this.#askedRetryAfterMs, LOCAL_RETRY_AFTER_MS);
    return clamp(ms * (0.75 + 0.5 * Math.random()), LOCAL_RETRY_AFTER_MS, MAX_RETRY_AFTER_MS);
  }

  /** Decides by what is known now; counts as one request. */
  shouldShed(wish?: Wish | null): boolean {
    const rank = this.#rank(wish);
    const reason = rank < this.#memory.shed ? 'agent' : rank < this.#localShed() ? 'local' : undefined;
    return this.#decided(reason);
  }

  /** The same, but in mode `per-request` asks the signal. Never rejects. */
  async decide(wish?: Wish | null): Promise<boolean> {
    if (!this.asksEach) return this.shouldShed(wish);
    if (this.#rank(wish) < this.#localShed()) return this.#decided('local');
    const verdict = await this.#askEach.ask();
    if (verdict.shed) this.#askedRetryAfterMs = verdict.retryAfterMs;
    return this.#decided(verdict.shed ? 'agent' : undefined);
  }

  /** True where decide() has to wait for the signal. */
  get asksEach(): boolean {
    return this.#settings.mode === 'per-request' && !this.#askEach.isPaused;
  }

  /** A request waited so long in the app's own queue before work on it began. */
  queueWaited(waitMs: number): void {
    this.#waits.add(waitMs, performance.now());
  }

  /** A request is under way. @returns to be called when it ended. */
  begin(): () => void {
    this.#inflight += 1;
    let ended = false;
    return () => {
      if (!ended) this.#inflight -= 1;
      ended = true;
    };
  }

  /** `change`: the level is another. `stale`, `recover`: the signal went silent, or is back. */
  on(event: ShedEvent, listener: () => void): this {
    this.#listeners[event]?.add(listener);
    return this;
  }

  off(event: ShedEvent, listener: () => void): this {
    this.#listeners[event]?.delete(listener);
    return this;
  }

  metrics(): ShedMetrics {
    return {
      ...this.#counts,
      level: this.level,
      agentLevel: this.#memory.shed,
      localLevel: this.#guard.shed,
      staleSeconds: this.#memory.staleMs / 1000,
      inflight: this.#inflight,
    };
  }

  metricsText(): string {
    return metricsText(this.metrics());
  }

  /** Middleware for Express; put it first. */
  express(options?: RequestOptions): ExpressMiddleware {
    return expressMiddleware(this, options);
  }

  /** Wraps the listener of a plain `node:http` server. */
  http(listener: HttpListener, options?: RequestOptions): HttpListener {
    return httpListener(this, listener, options);
  }

  /** Stops everything. Afterwards every request is allowed. */
  close(): void {
    this.#watch.close();
    this.#follower?.close();
    this.#askEach.close();
    this.#transport.close();
    this.#memory.forget();
    this.#guard.forget();
    for (const listeners of Object.values(this.#listeners)) listeners.clear();
  }

  #localShed(): number {
    const { local, maxShed } = this.#settings;
    if (local.budgetMs === undefined) return this.#guard.shed;
    const ageMs = this.#turnAge.atMs(performance.now());
    const inTurn = shedInTurn(ageMs, this.#turnAge.beforeMs, local.budgetMs);
    return Math.max(this.#guard.shed, Math.min(maxShed, inTurn));
  }

  /** Without a wish nothing is worth remembering about a request. */
  #rank(wish: Wish | null | undefined): number {
    const dice = Math.random();
    if (!wish || (wish.priority === undefined && wish.key === undefined)) return dice;
    return this.#cursor.rank(wish, dice, Date.now());
  }

  #decided(reason: Decision['reason']): boolean {
    const { dryRun, onDecision } = this.#settings;
    const shed = reason !== undefined && !dryRun;
    if (reason === undefined) this.#counts.allowed += 1;
    else if (dryRun) this.#counts.wouldShed += 1;
    else this.#counts[reason === 'agent' ? 'shedByAgent' : 'shedByLocal'] += 1;
    onDecision({ shed, reason, dryRun: dryRun && reason !== undefined });
    return shed;
  }

  #turn({ nowMs, elapsedMs, delayMs, utilization }: Turn): void {
    this.#memory.pass(elapsedMs, nowMs);
    const queueMs = this.#waits.p95Ms(nowMs);
    this.#guard.sample({ elapsedMs, eventLoopDelayMs: delayMs, utilization, queueMs });
    this.#tellChanges();
    if (this.#settings.report && this.#reporter.isDue(nowMs)) {
      this.#report(Math.max(queueMs ?? 0, delayMs), nowMs);
    }
  }

  #tellChanges(): void {
    const now = { level: this.level, isStale: this.#memory.isStale };
    const before = this.#seen;
    this.#seen = now;
    if (now.level !== before.level) this.#emit('change');
    if (now.isStale !== before.isStale) this.#emit(now.isStale ? 'stale' : 'recover');
  }

  #emit(event: ShedEvent): void {
    for (const listener of this.#listeners[event]) guarded(listener)();
  }

  #report(queueP95Ms: number, nowMs: number): void {
    const { allowed, wouldShed, shedByAgent, shedByLocal } = this.#counts;
    const total = { accepted: allowed + wouldShed, rejected: shedByAgent + shedByLocal };
    const accepted = total.accepted - this.#reported.accepted;
    const rejected = total.rejected - this.#reported.rejected;
    this.#reported = total;
    // A process that serves nothing has nothing to say.
    if (accepted + rejected + this.#inflight === 0) return;
    void this.#reporter.send({ queueP95Ms, inflight: this.#inflight, accepted, rejected }, nowMs);
  }
}
