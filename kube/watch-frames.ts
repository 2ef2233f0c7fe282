/** The body of a watch: JSON documents, one a line, in chunks that end anywhere. */
import { type JsonObject, objectOf, textOf } from './json.ts';

export interface WatchFrame {
  /** ADDED, MODIFIED, DELETED, BOOKMARK, ERROR. */
  type: string;
  object: JsonObject;
}

/** The server, or something in between, does not speak the watch protocol. */
export class WatchProtocolError extends Error {}

/** etcd takes 1.5 MB of protobuf; as JSON an object may be some times larger. */
export const FRAME_MAX_BYTES = 16 * 1024 * 1024;

const NEWLINE = 0x0a;

const frameOf = (line: Buffer): WatchFrame => {
  let value: unknown;
  try {
    value = JSON.parse(line.toString('utf8'));
  } catch {
    throw new WatchProtocolError(`a line of ${line.length} bytes is no JSON`);
  }
  const frame = objectOf(value);
  const type = textOf(frame?.type);
  const object = objectOf(frame?.object);
  if (type === undefined || object === undefined)
    throw new WatchProtocolError('a line is no watch event: it has no type or no object');
  return { type, object };
};

export class WatchFrames {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes = FRAME_MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** The frames that this chunk completes. Throws WatchProtocolError; the stream is of no use then. */
  *take(chunk: Buffer): Generator<WatchFrame> {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const line = this.#line(chunk.subarray(from, end));
      from = end + 1;
      if (line.length > 0) yield frameOf(line);
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
  }

  #line(tail: Buffer): Buffer {
    this.#checkSize(tail);
    if (this.#parts.length === 0) return tail;
    const line = Buffer.concat([...this.#parts, tail]);
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }

  #keep(part: Buffer): void {
    this.#checkSize(part);
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  #checkSize(part: Buffer): void {
    if (this.#bytes + part.length > this.#maxBytes)
      throw new WatchProtocolError(`a line is longer than ${this.#maxBytes} bytes`);
  }
}
