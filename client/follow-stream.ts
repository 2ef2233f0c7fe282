/** Follows the level by server-sent events; falls back to long polls where the signal has no stream for us. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Backoff } from './backoff.ts';
import { EventStreamParser } from './event-stream.ts';
import { PollFollower, type PollTiming } from './follow-poll.ts';
import type { Follower, LevelSink } from './follower.ts';
import { parseLevel } from './level.ts';
import { afterReading, type Transport } from './transport.ts';

/** The signal speaks every 500 ms; a stream that is silent for this long is opened anew. */
const MAX_SILENCE_MS = 3_000;
const ENDED_AT_ONCE_MS = 400;
const TRY_STREAM_AGAIN_MS = 60_000;

export class StreamFollower implements Follower {
  readonly #transport: Transport;
  readonly #sink: LevelSink;
  readonly #timing: PollTiming;
  readonly #backoff = new Backoff();
  #call: ClientRequest | undefined;
  #poll: PollFollower | undefined;
  /** Ends the wait for the next thing: a word of the stream, or the next try. */
  #stop: () => void;
  #closed: boolean = false;

  constructor(transport: Transport, sink: LevelSink, timing: PollTiming) {
    this.#transport = transport;
    this.#sink = sink;
    this.#timing = timing;
    this.#stop = afterReading(0, () => this.#connect());
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    this.#poll?.close();
    this.#call?.destroy();
  }

  #connect(): void {
    if (this.#closed) return;
    this.#poll?.close();
    this.#poll = undefined;
    let ended = false;
    const call = this.#transport.open('/v1/level/stream', { Accept: 'text/event-stream' }, () => {
      if (!ended && this.#call === call) this.#again(this.#backoff.nextMs());
      ended = true;
    });
    this.#call = call;
    this.#watch();
    call?.on('response', (response) => this.#read(response));
  }

  #again(pauseMs: number): void {
    this.#call = undefined;
    this.#stop();
    if (!this.#closed) this.#stop = afterReading(pauseMs, () => this.#connect());
  }

  #watch(): void {
    this.#stop();
    this.#stop = afterReading(MAX_SILENCE_MS, () => this.#call?.destroy());
  }

  #read(response: IncomingMessage): void {
    const isStream = String(response.headers['content-type']).startsWith('text/event-stream');
    if (response.statusCode !== 200 || !isStream) {
      response.resume();
      if (response.statusCode === 404) this.#pollInstead();
      else this.#call?.destroy();
      return;
    }
    const parser = new EventStreamParser();
    response.setEncoding('utf8');
    response.on('error', () => undefined);
    const openedMs = performance.now();
    response.on('end', () => {
      // So a signal answers a pod that has too many streams.
      if (performance.now() - openedMs < ENDED_AT_ONCE_MS) this.#pollInstead();
      else this.#call?.destroy();
    });
    response.on('data', (text: string) => {
      const events = parser.push(text);
      if (events === undefined) this.#call?.destroy();
      else for (const { name, data } of events) this.#event(name, data);
    });
  }

  #event(name: string | undefined, data: string): void {
    const level = name === undefined ? undefined : parseLevel(data);
    if (level !== undefined) this.#sink.onLevel(level);
    else if (name === undefined || name === 'heartbeat') this.#sink.onConfirm();
    else return;
    this.#backoff.reset();
    this.#watch();
  }

  #pollInstead(): void {
    const call = this.#call;
    this.#again(TRY_STREAM_AGAIN_MS);
    call?.destroy();
    this.#poll = new PollFollower(this.#transport, this.#sink, this.#timing);
  }
}
