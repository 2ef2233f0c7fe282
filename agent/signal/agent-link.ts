/** The signal process's end of the levels socket: connects, takes rounds, sends reports and counts, connects again. */
import { connect, type Socket } from 'node:net';
import {
  type AgentMessage,
  encode,
  LineReader,
  MAX_AGENT_LINE_BYTES,
  parseAgentMessage,
  type SignalMessage,
} from './wire.ts';

const RETRY_MS = 250;
/** The agent speaks every 200 ms; one that is silent for so long hangs, and a new one may be listening. */
const SILENT_MS = 5_000;
/** Reports are news: what the agent does not read is not kept for it. */
const MAX_UNREAD_BYTES = 256 * 1024;

export interface LinkEvents {
  onMessage: (message: AgentMessage) => void;
  /** Connected, or not any more and why. */
  onChange: (connected: boolean, why: string) => void;
}

export class AgentLink {
  readonly #path: string;
  readonly #events: LinkEvents;
  #socket: Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #connected: boolean = false;
  #stopped: boolean = false;

  constructor(path: string, events: LinkEvents) {
    this.#path = path;
    this.#events = events;
  }

  get connected(): boolean {
    return this.#connected;
  }

  start(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    let why = 'the agent closed the connection';
    const lines = new LineReader(MAX_AGENT_LINE_BYTES, (line) => {
      const message = parseAgentMessage(line);
      if (message !== undefined) this.#events.onMessage(message);
    });
    socket.setTimeout(SILENT_MS, () => {
      why = `the agent said nothing for ${SILENT_MS} ms`;
      socket.destroy();
    });
    socket.on('connect', () => {
      this.#connected = true;
      this.#events.onChange(true, '');
    });
    socket.on('data', (chunk: Buffer) => {
      if (lines.push(chunk)) return;
      why = `the agent sent a line of more than ${MAX_AGENT_LINE_BYTES} bytes`;
      socket.destroy();
    });
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('close', () => {
      this.#connected = false;
      if (this.#stopped) return;
      this.#events.onChange(false, why);
      this.#retry = setTimeout(() => this.start(), RETRY_MS);
    });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  /** @returns is it on its way. */
  send(message: SignalMessage): boolean {
    const socket = this.#socket;
    if (!this.#connected || socket === undefined || socket.writableLength > MAX_UNREAD_BYTES) return false;
    socket.write(encode(message));
    return true;
  }
}
