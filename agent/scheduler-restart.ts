/** Keeps the one pending attempt to load the scheduler again: policy, memory and timer. */
import { type Cause, type Decision, decideRestart, NO_MEMORY, type RestartMemory } from './restart-policy.ts';

export interface RestartView {
  /** What was decided last; `none`: nothing is wrong. */
  action: Decision['action'] | 'none';
  /** Until the scheduler is tried again; 0: nothing is pending. */
  inSeconds: number;
  failuresLastHour: number;
}

const HOUR_MS = 3_600_000;

export class SchedulerRestart {
  #memory: RestartMemory = NO_MEMORY;
  #decision: Decision | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs: number | undefined;

  /** Decides, and remembers. @param ranMs how long the scheduler ran before; 0: it was not loaded. */
  decide(cause: Cause, ranMs: number): Decision {
    const happening = { cause, nowMs: performance.now(), ranMs, random: Math.random() };
    const { memory, decision } = decideRestart(this.#memory, happening);
    this.#memory = memory;
    this.#decision = decision;
    return decision;
  }

  /** Calls `attempt` when the decision says so; replaces what was pending. */
  schedule(decision: Decision, attempt: () => void): void {
    this.stop();
    if (decision.action === 'stayOff') return;
    this.#dueAtMs = performance.now() + decision.delayMs;
    this.#timer = setTimeout(() => {
      this.#dueAtMs = undefined;
      attempt();
    }, decision.delayMs);
  }

  /** The scheduler runs. */
  succeeded(): void {
    this.stop();
    this.#decision = undefined;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#dueAtMs = undefined;
  }

  view(): RestartView {
    const nowMs = performance.now();
    const inMs = this.#dueAtMs === undefined ? 0 : Math.max(0, this.#dueAtMs - nowMs);
    return {
      action: this.#decision?.action ?? 'none',
      inSeconds: Math.round(inMs / 100) / 10,
      failuresLastHour: this.#memory.failuresMs.filter((atMs) => nowMs - atMs < HOUR_MS).length,
    };
  }
}
