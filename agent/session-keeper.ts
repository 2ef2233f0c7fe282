/** Keeps the right session open: the scheduler while it can run, else the observer, and says what happened. */
import type { Logger } from 'pino';
import { type Failure, isFailure } from './failure.ts';
import type { ExitInfo, KernelSession, Mode } from './kernel/port.ts';
import type { KernelSide, SessionEvents } from './kernel-side.ts';
import {
  type ExitHistory,
  exitText,
  type ModeReason,
  modeOf,
  type NodeMode,
  reasonOfExit,
  reasonOfFailure,
  reloadPauseMs,
} from './node-mode.ts';

export interface SessionListener {
  /** Before the old session is closed: read its counters a last time. */
  onSessionEnd(): void;
  /** A fresh session, all slots free; undefined: there is none now. */
  onSession(session: KernelSession | undefined, mode: NodeMode): void;
  onSchedulerExit(exit: ExitInfo): void;
}

const POLL_MS = 500;
const BEAT_MS = 1_000;

export class SessionKeeper {
  readonly #kernel: KernelSide;
  readonly #wanted: Mode;
  readonly #events: SessionEvents;
  readonly #listener: SessionListener;
  readonly #log: Logger;
  readonly #history: ExitHistory = { hotplugReloads: 0, retries: 0 };
  readonly #timers: NodeJS.Timeout[] = [];
  #session: KernelSession | undefined;
  #reload: NodeJS.Timeout | undefined;
  readonly #ending = new AbortController();
  #mode: NodeMode;
  #kernelVersion = '';

  constructor(
    kernel: KernelSide,
    wanted: Mode,
    events: SessionEvents,
    listener: SessionListener,
    log: Logger,
  ) {
    this.#kernel = kernel;
    this.#wanted = wanted;
    this.#events = events;
    this.#listener = listener;
    this.#log = log;
    this.#mode = { mode: 'unsupported', wanted, reason: undefined };
  }

  get mode(): NodeMode {
    return this.#mode;
  }

  get kernelVersion(): string {
    return this.#kernelVersion;
  }

  async start(): Promise<void> {
    const preflight = await this.#kernel.preflight();
    this.#kernelVersion = preflight.kernel;
    if (this.#ending.signal.aborted) return;
    const mode = modeOf(this.#wanted, preflight);
    if (mode.mode === 'enforce') await this.#enforce();
    else this.#observe(mode);
    if (this.#ending.signal.aborted) return;
    this.#timers.push(
      setInterval(() => this.#poll(), POLL_MS),
      setInterval(() => this.#session?.beat(), BEAT_MS),
    );
  }

  async stop(): Promise<Failure | undefined> {
    this.#ending.abort();
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#reload);
    const session = this.#end();
    return session === undefined ? undefined : await this.#kernel.detach(session);
  }

  async #enforce(): Promise<void> {
    const session = await this.#kernel.openScheduler(this.#events);
    if (isFailure(session)) {
      const reason = reasonOfFailure(session);
      if (!this.#ending.signal.aborted) this.#observe({ mode: 'advisory', wanted: this.#wanted, reason });
    } else if (this.#ending.signal.aborted) {
      await this.#kernel.detach(session);
    } else {
      this.#begin(session, { mode: 'enforce', wanted: this.#wanted, reason: undefined });
    }
  }

  #observe(mode: NodeMode): void {
    const session = mode.mode === 'unsupported' ? undefined : this.#kernel.openObserver(this.#events);
    if (isFailure(session)) {
      const reason = mode.reason ?? reasonOfFailure(session);
      this.#log.error({ failure: session }, 'nothing can be measured');
      this.#begin(undefined, { mode: 'unsupported', wanted: this.#wanted, reason });
    } else {
      this.#begin(session, mode);
    }
  }

  #begin(session: KernelSession | undefined, mode: NodeMode): void {
    this.#session = session;
    this.#mode = mode;
    session?.beat();
    this.#say(mode);
    this.#listener.onSession(session, mode);
  }

  #say({ mode, wanted, reason }: NodeMode): void {
    const facts = { mode, wanted, kernel: this.#kernelVersion };
    if (reason === undefined) this.#log.info(facts, `mode ${mode}`);
    else
      this.#log.warn(
        { ...facts, reason: reason.code, hint: reason.hint },
        `mode ${mode} instead of ${wanted}: ${reason.message}`,
      );
  }

  /** The session, after its counters were read; it is no longer ours to use. */
  #end(): KernelSession | undefined {
    const session = this.#session;
    if (session === undefined) return undefined;
    this.#listener.onSessionEnd();
    this.#session = undefined;
    return session;
  }

  #poll(): void {
    if (this.#session?.kind !== 'scheduler' || this.#session.running()) return;
    const exit = this.#session.exit();
    this.#log.error(
      { kind: exit.kind, exitCode: String(exit.exitCode) },
      `the scheduler left: ${exitText(exit)}`,
    );
    this.#listener.onSchedulerExit(exit);
    this.#end()?.close();
    this.#fallBack(reasonOfExit(exit));
    const pauseMs = reloadPauseMs(exit, this.#history);
    if (pauseMs === undefined) return;
    this.#reload = setTimeout(() => {
      this.#tryAgain().catch((error: unknown) =>
        this.#log.error({ err: error }, 'loading the scheduler again failed'),
      );
    }, pauseMs);
  }

  #fallBack(reason: ModeReason): void {
    this.#observe({ mode: 'advisory', wanted: this.#wanted, reason });
  }

  async #tryAgain(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    const preflight = await this.#kernel.preflight();
    if (!preflight.canEnforce || this.#ending.signal.aborted) return;
    this.#end()?.close();
    await this.#enforce();
  }
}
