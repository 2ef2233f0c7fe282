/**
 * Events from a BPF ring buffer into a callback, without ever holding the event loop for long: at most BATCH
 * events a turn, the rest in later turns. A record that cannot be decoded, or a handler that throws, costs that
 * one event and is reported once.
 */
import { type Failure, failure } from '../failure.ts';
import { type Poller, pollFd } from './fd-poller.ts';
import { errnoName, type Libbpf, type RingHandle } from './libbpf.ts';

/** About 1 ms of work, with handlers of a few microseconds. */
const BATCH = 256;
/** Larger than every record of bpf/abi.h. */
const MAX_RECORD_BYTES = 4096;

export interface EventStreamOptions<T> {
  mapFd: number;
  decode(record: DataView): T | undefined;
  onEvent(event: T): void;
  /** Called at most once. */
  onProblem(problem: Failure): void;
}

export class EventStream<T> {
  readonly #libbpf: Libbpf;
  readonly #options: EventStreamOptions<T>;
  readonly #record = new Uint8Array(MAX_RECORD_BYTES);
  #ring: { ring: RingHandle; free(): void } | undefined;
  #poller: Poller | undefined;
  #next: NodeJS.Immediate | undefined;
  #consuming: boolean = false;
  #closed: boolean = false;
  #lost = 0;

  private constructor(libbpf: Libbpf, options: EventStreamOptions<T>) {
    this.#libbpf = libbpf;
    this.#options = options;
  }

  static open<T>(libbpf: Libbpf, options: EventStreamOptions<T>): EventStream<T> | Failure {
    const stream = new EventStream(libbpf, options);
    const ring = libbpf.openRing(options.mapFd, (copyTo, length) => stream.#take(copyTo, length));
    if (typeof ring === 'number') {
      const next = 'check `ulimit -n` and the memory limit of the agent';
      return failure('SLO_E_RING', 'a ring buffer could not be opened', errnoName(ring), next);
    }
    stream.#ring = ring;
    stream.#poller = pollFd(libbpf, libbpf.ringEpollFd(ring.ring), () => stream.#drain());
    return stream;
  }

  /** Events that were lost here (bad record, handler that threw); the kernel counts its own drops. */
  get lost(): number {
    return this.#lost;
  }

  /** Safe to call twice, and from within a handler: no event follows, and the memory is freed after the batch. */
  close(): void {
    this.#closed = true;
    clearImmediate(this.#next);
    this.#poller?.close();
    this.#poller = undefined;
    if (!this.#consuming) this.#free();
  }

  #free(): void {
    this.#ring?.free();
    this.#ring = undefined;
  }

  #drain(): void {
    if (!this.#ring || this.#next) return;
    this.#consuming = true;
    const taken = this.#libbpf.ringConsume(this.#ring.ring, BATCH);
    this.#consuming = false;
    if (this.#closed) this.#free();
    else if (taken >= BATCH) this.#drainLater();
  }

  #drainLater(): void {
    this.#next = setImmediate(() => {
      this.#next = undefined;
      this.#drain();
    });
  }

  /** Called by C: whatever happens here must not throw. */
  #take(copyTo: (target: Uint8Array) => number, length: number): void {
    if (this.#closed) return;
    try {
      const copied = copyTo(this.#record);
      const event = this.#options.decode(new DataView(this.#record.buffer, 0, copied));
      if (event === undefined) throw new Error(`a record of ${length} bytes is not of this version`);
      this.#options.onEvent(event);
    } catch (error) {
      this.#lost++;
      if (this.#lost === 1) this.#report(error);
    }
  }

  #report(error: unknown): void {
    const next = 'report this bug; the other events are still handled';
    const problem = failure('SLO_E_EVENT', 'a kernel event was lost', String(error), next);
    // not from within the C call: this handler may throw, too
    setImmediate(() => this.#options.onProblem(problem));
  }
}
