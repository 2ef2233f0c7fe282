/** Keeps the right session open: the scheduler while it can run, else the observer, and says what happened. */
import type { Logger } from 'pino';
import { untilCpusSettle } from './cpu-settle.ts';
import { type ExitRecord, exitRecord } from './exit-record.ts';
import { type Failure, isFailure } from './failure.ts';
import { exitText } from './kernel/exit-kind.ts';
import type { AttachFailure, ExitInfo, KernelSession, Mode, Preflight } from './kernel/port.ts';
import type { KernelSide, SessionEvents } from './kernel-side.ts';
import type { NodeEventReason, NodeEvents } from './node-events.ts';
import {
  type ModeReason,
  modeOf,
  type NodeMode,
  type NodeModeName,
  nextText,
  reasonOfFailure,
  reasonWhileAway,
} from './node-mode.ts';
import { type Cause, causeOfExit, causeOfFailure, type Decision } from './restart-policy.ts';
import { type RestartView, SchedulerRestart } from './scheduler-restart.ts';

export interface SessionListener {
  /** Before the old session is closed: read its counters a last time. */
  onSessionEnd(): void;
  /** A fresh session, all slots free; undefined: there is none now. */
  onSession(session: KernelSession | undefined, mode: NodeMode): void;
  onSchedulerExit(record: ExitRecord): void;
}

export interface SessionKeeperParts {
  kernel: KernelSide;
  wanted: Mode;
  events: SessionEvents;
  listener: SessionListener;
  nodeEvents: NodeEvents;
  log: Logger;
}

const POLL_MS = 250;
const BEAT_MS = 1_000;
/** The kernel writes the exit record when it has moved every task away; a busy node needs a while for that. */
const RECORD_WAIT_MS = 10_000;

export class SessionKeeper {
  readonly #parts: SessionKeeperParts;
  readonly #restart = new SchedulerRestart();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #ending = new AbortController();
  #session: KernelSession | undefined;
  #mode: NodeMode;
  #kernelVersion = '';
  #preflight: Preflight | undefined;
  #enforcedAtMs = 0;
  #goneSinceMs: number | undefined;
  /** The scheduler that left is being taken apart; the kernel takes no other one before that. */
  #releasing: Promise<unknown> = Promise.resolve();

  constructor(parts: SessionKeeperParts) {
    this.#parts = parts;
    this.#mode = { mode: 'unsupported', wanted: parts.wanted, reason: undefined };
  }

  get mode(): NodeMode {
    return this.#mode;
  }

  /** By the last look at the node, whether or not enforcing was asked for. */
  get canEnforce(): boolean {
    return this.#preflight?.canEnforce ?? false;
  }

  get kernelVersion(): string {
    return this.#kernelVersion;
  }

  get restart(): RestartView {
    return this.#restart.view();
  }

  async start(): Promise<void> {
    const preflight = await this.#parts.kernel.preflight();
    this.#preflight = preflight;
    this.#kernelVersion = preflight.kernel;
    if (this.#isEnding()) return;
    const mode = modeOf(this.#parts.wanted, preflight);
    if (mode.mode === 'enforce') await this.#enforce('SchedExtEnabled');
    else this.#asJudged(mode, preflight);
    if (this.#isEnding()) return;
    this.#timers.push(
      setInterval(() => this.#poll(), POLL_MS),
      setInterval(() => this.#session?.beat(), BEAT_MS),
    );
  }

  async stop(): Promise<Failure | undefined> {
    this.#ending.abort();
    for (const timer of this.#timers) clearInterval(timer);
    this.#restart.stop();
    const session = this.#end();
    const problem = session === undefined ? undefined : await this.#parts.kernel.detach(session);
    await this.#releasing;
    return problem;
  }

  #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Opens the scheduler; what is open now goes on until that one is in charge. */
  async #enforce(event: NodeEventReason): Promise<void> {
    const session = await this.#parts.kernel.openScheduler(this.#parts.events);
    if (isFailure(session)) {
      if (!this.#isEnding()) this.#notLoaded(session);
    } else if (this.#isEnding()) {
      await this.#parts.kernel.detach(session);
    } else {
      this.#end()?.close();
      this.#enforcedAtMs = performance.now();
      this.#restart.succeeded();
      this.#begin(session, { mode: 'enforce', wanted: this.#parts.wanted, reason: undefined });
      const again = event === 'SchedExtRestarted' ? ', with the CPUs that the node has now' : '';
      this.#tell('Normal', event, `mode enforce: the scheduler is in charge${again}`);
    }
  }

  /** The observer, or what is open already. The mode may still become `unsupported`. */
  #fallBack(mode: NodeMode): void {
    if (this.#session !== undefined) {
      this.#mode = mode;
      return;
    }
    const { kernel, events, log, wanted } = this.#parts;
    const session = mode.mode === 'unsupported' ? undefined : kernel.openObserver(events);
    if (isFailure(session)) {
      log.error({ failure: session }, 'nothing can be measured');
      const reason = mode.reason ?? reasonOfFailure(session);
      this.#begin(undefined, { mode: 'unsupported', wanted, reason });
    } else {
      this.#begin(session, mode);
    }
  }

  #begin(session: KernelSession | undefined, mode: NodeMode): void {
    this.#session = session;
    this.#mode = mode;
    session?.beat();
    this.#parts.listener.onSession(session, mode);
  }

  /** The session, after its counters were read; it is no longer ours to use. */
  #end(): KernelSession | undefined {
    const session = this.#session;
    if (session === undefined) return undefined;
    this.#parts.listener.onSessionEnd();
    this.#session = undefined;
    return session;
  }

  #poll(): void {
    const session = this.#session;
    if (session?.kind !== 'scheduler' || session.running()) {
      this.#goneSinceMs = undefined;
      return;
    }
    const nowMs = performance.now();
    this.#goneSinceMs ??= nowMs;
    const exit = session.exit();
    if (exit.kind === 0 && nowMs - this.#goneSinceMs < RECORD_WAIT_MS) return;
    this.#goneSinceMs = undefined;
    this.#left(exit, nowMs - this.#enforcedAtMs);
  }

  #left(exit: ExitInfo, ranMs: number): void {
    this.#record(exit, ranMs);
    const cause = causeOfExit(exit);
    const decision = this.#restart.decide(cause, ranMs);
    const session = this.#end();
    if (session !== undefined) this.#release(session);
    const message = `the scheduler left: ${exitText(exit)}`;
    this.#away('advisory', decision, { code: 'LoadFailed', message, hint: '' }, 'SchedExtEjected');
    this.#schedule(decision, cause);
  }

  #notLoaded(failure: AttachFailure): void {
    if (failure.exit !== undefined) this.#record(failure.exit, 0);
    const cause = causeOfFailure(failure);
    const decision = this.#restart.decide(cause, 0);
    this.#away('advisory', decision, reasonOfFailure(failure), 'SchedExtNotLoaded');
    this.#schedule(decision, cause);
  }

  /** As preflight says; only another scheduler may go away by itself. */
  #asJudged(mode: NodeMode, { reasons }: Preflight): void {
    if (mode.reason === undefined || mode.wanted !== 'enforce') {
      this.#fallBack(mode);
      const { mode: now, wanted, reason } = this.#mode;
      if (reason === undefined) this.#tell('Normal', 'NodeMode', `mode ${now}`);
      else this.#tell('Warning', 'NodeMode', `mode ${now} instead of ${wanted}: ${reason.message}`);
      return;
    }
    const cause = reasons.every(({ code }) => code === 'OtherScheduler') ? 'busy' : 'hopeless';
    const decision = this.#restart.decide(cause, 0);
    this.#away(mode.mode, decision, mode.reason, 'SchedExtNotLoaded');
    this.#schedule(decision, cause);
  }

  /** The scheduler is not there, and what happens next is known. */
  #away(mode: NodeModeName, decision: Decision, failed: ModeReason, event: NodeEventReason): void {
    const { wanted } = this.#parts;
    this.#fallBack({ mode, wanted, reason: reasonWhileAway(decision, failed) });
    const reason = decision.action === 'stayOff' ? 'SchedExtStaysOff' : event;
    const text = `mode ${this.#mode.mode} instead of ${wanted}: ${failed.message}; ${nextText(decision)}`;
    this.#tell('Warning', reason, text);
  }

  #schedule(decision: Decision, cause: Cause): void {
    this.#restart.schedule(decision, () => {
      this.#attempt(cause).catch((error: unknown) =>
        this.#parts.log.error({ err: error }, 'loading the scheduler again failed'),
      );
    });
  }

  async #attempt(cause: Cause): Promise<void> {
    await this.#releasing;
    const { kernel } = this.#parts;
    if (cause === 'hotplug') await untilCpusSettle(() => kernel.cpuChanges(), this.#ending.signal);
    if (this.#isEnding()) return;
    const preflight = await kernel.preflight();
    this.#preflight = preflight;
    if (this.#isEnding()) return;
    if (preflight.canEnforce) {
      await this.#enforce(cause === 'hotplug' ? 'SchedExtRestarted' : 'SchedExtEnabled');
    } else {
      this.#asJudged(modeOf(this.#parts.wanted, preflight), preflight);
    }
  }

  #record(exit: ExitInfo, ranMs: number): void {
    const about = { atMs: Date.now(), kernel: this.#kernelVersion, ranMs };
    this.#parts.listener.onSchedulerExit(exitRecord(exit, about));
  }

  #release(session: KernelSession): void {
    const { kernel, log } = this.#parts;
    this.#releasing = kernel.detach(session).then(
      (problem) => problem && log.error({ failure: problem }, problem.what),
      (error: unknown) => log.error({ err: error }, 'the scheduler that left could not be taken apart'),
    );
  }

  #tell(type: 'Normal' | 'Warning', reason: NodeEventReason, message: string): void {
    const { mode, wanted, reason: why } = this.#mode;
    const facts = { mode, wanted, kernel: this.#kernelVersion };
    const more = why === undefined ? {} : { reason: why.code, hint: why.hint };
    this.#parts.nodeEvents.emit({ type, reason, message, facts: { ...facts, ...more } });
  }
}
