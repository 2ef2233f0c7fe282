/** text/event-stream, as far as the signal uses it. Pure and bounded: a stream that never ends a line is given up. */

export interface StreamEvent {
  /** `message` where the event has no name; undefined: a comment, which only says that the other side lives. */
  name: string | undefined;
  data: string;
}

const MAX_EVENT_CHARS = 8_192;

export class EventStreamParser {
  #rest = '';
  #name = 'message';
  #data: string[] = [];
  #dataChars = 0;
  #afterCr: boolean = false;

  /** @returns the events that are whole now; undefined: this is no event stream, or one that is too large. */
  push(text: string): StreamEvent[] | undefined {
    const events: StreamEvent[] = [];
    // A CR LF that was cut in two is one end of line.
    const fresh = this.#afterCr && text.startsWith('\n') ? text.slice(1) : text;
    if (text !== '') this.#afterCr = text.endsWith('\r');
    const lines = `${this.#rest}${fresh}`.split(/\r\n|\r|\n/);
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = this.#line(line);
      if (event !== undefined) events.push(event);
    }
    return this.#rest.length + this.#dataChars > MAX_EVENT_CHARS ? undefined : events;
  }

  #line(line: string): StreamEvent | undefined {
    if (line === '') return this.#dispatch();
    if (line.startsWith(':')) return { name: undefined, data: '' };
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#name = value === '' ? 'message' : value;
    if (field === 'data') {
      this.#data.push(value);
      this.#dataChars += value.length + 1;
    }
    return undefined;
  }

  #dispatch(): StreamEvent | undefined {
    const event = this.#data.length === 0 ? undefined : { name: this.#name, data: this.#data.join('\n') };
    this.#name = 'message';
    this.#data = [];
    this.#dataChars = 0;
    return event;
  }
}
