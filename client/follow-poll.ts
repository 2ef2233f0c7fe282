/** Follows the level by long polls: one question at a time, answered at a change or after waitMs. */

import { Backoff } from './backoff.ts';
import type { Follower, LevelSink } from './follower.ts';
import { parseLevel } from './level.ts';
import { afterReading, type Transport } from './transport.ts';

export interface PollTiming {
  /** Between an answer and the next question, ms; jittered by 10 %. */
  pollMs: number;
  /** How long the signal may wait for a change, ms; below the TTL of a level. */
  waitMs: number;
  /** On top of waitMs for an answer, ms. */
  timeoutMs: number;
}

export class PollFollower implements Follower {
  readonly #transport: Transport;
  readonly #sink: LevelSink;
  readonly #timing: PollTiming;
  readonly #backoff = new Backoff();
  #etag: string | undefined;
  #stop: () => void;
  #closed: boolean = false;

  constructor(transport: Transport, sink: LevelSink, timing: PollTiming) {
    this.#transport = transport;
    this.#sink = sink;
    this.#timing = timing;
    this.#stop = afterReading(0, () => void this.#once());
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }

  async #once(): Promise<void> {
    const { waitMs, timeoutMs, pollMs } = this.#timing;
    const headers = this.#etag === undefined ? {} : { 'If-None-Match': this.#etag };
    const path = `/v1/level?wait=${waitMs}`;
    const reply = await this.#transport.ask({ path, headers, timeoutMs: waitMs + timeoutMs });
    if (this.#closed) return;
    const level = reply?.status === 200 ? parseLevel(reply.body) : undefined;
    if (level !== undefined) this.#sink.onLevel(level);
    else if (reply?.status === 304) this.#sink.onConfirm();
    const isGood = level !== undefined || reply?.status === 304;
    this.#etag = isGood ? reply?.etag : undefined;
    const pauseMs = isGood ? pollMs * (0.9 + 0.2 * Math.random()) : this.#backoff.nextMs();
    if (isGood) this.#backoff.reset();
    this.#stop = afterReading(pauseMs, () => void this.#once());
  }
}
