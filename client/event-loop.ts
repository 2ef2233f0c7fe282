/** How late and how busy this process's event loop is: one timer ten times a second, which does not keep it alive. */
import { performance } from 'node:perf_hooks';

type Utilization = ReturnType<typeof performance.eventLoopUtilization>;

export interface Turn {
  nowMs: number;
  elapsedMs: number;
  /** How much later than asked the timer came, ms. */
  delayMs: number;
  /** Busy share, 0 .. 1, over about the last second. */
  utilization: number;
}

const EVERY_MS = 100;
const MARK_EVERY_MS = 1_000;

export class EventLoopWatch {
  readonly #onTurn: (turn: Turn) => void;
  #timer: NodeJS.Timeout;
  #lastMs = performance.now();
  /** Two marks, so that what is compared with is one to two seconds old. */
  #marks: [Utilization, Utilization];
  #markedMs = this.#lastMs;

  /** @param onTurn must not throw. */
  constructor(onTurn: (turn: Turn) => void) {
    this.#onTurn = onTurn;
    const mark = performance.eventLoopUtilization();
    this.#marks = [mark, mark];
    this.#timer = this.#arm();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #arm(): NodeJS.Timeout {
    return setTimeout(() => this.#turn(), EVERY_MS).unref();
  }

  #turn(): void {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    const { utilization } = performance.eventLoopUtilization(this.#marks[0]);
    if (nowMs - this.#markedMs > MARK_EVERY_MS) {
      this.#marks = [this.#marks[1], performance.eventLoopUtilization()];
      this.#markedMs = nowMs;
    }
    this.#timer = this.#arm();
    this.#onTurn({ nowMs, elapsedMs, delayMs: Math.max(0, elapsedMs - EVERY_MS), utilization });
  }
}
