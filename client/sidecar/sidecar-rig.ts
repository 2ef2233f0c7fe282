/** For tests: a sidecar with its app, its signal and its callers. */
import { once } from 'node:events';
import {
  type Agent,
  createServer,
  get,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect } from 'vitest';
import { ConformanceServer } from '../../test/conformance/server.ts';
import type { SidecarOptions } from './options.ts';
import { Sidecar } from './sidecar.ts';

export const WAIT = { timeout: 15_000, interval: 10 };

export const bodyOf = async (message: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const part of message) text += String(part);
  return text;
};

export interface Ask {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  agent?: Agent;
}

export class SidecarRig {
  readonly signal = new ConformanceServer();
  readonly cleanup: (() => unknown)[] = [];
  arrived: IncomingMessage[] = [];
  onRequest: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  port = 0;
  healthPort = 0;
  #app: Server | undefined;
  #sidecar: Sidecar | undefined;

  get app(): Server {
    if (this.#app === undefined) throw new Error('setUp() first');
    return this.#app;
  }

  get sidecar(): Sidecar {
    if (this.#sidecar === undefined) throw new Error('start() first');
    return this.#sidecar;
  }

  async setUp(): Promise<void> {
    this.signal.set({ shed: 0, misbehaviour: undefined });
    await this.signal.start();
    this.arrived = [];
    this.onRequest = (_incoming, response) => response.end('served');
    const app = createServer((incoming, response) => {
      this.arrived.push(incoming);
      incoming.on('error', () => undefined);
      this.onRequest(incoming, response);
    });
    await once(app.listen(0, '127.0.0.1'), 'listening');
    this.#app = app;
    this.cleanup.push(() => {
      app.close();
      app.closeAllConnections();
    });
  }

  async tearDown(): Promise<void> {
    for (const clean of this.cleanup.splice(0)) await clean();
    await this.signal.stop();
  }

  async start(options: Partial<SidecarOptions> = {}): Promise<void> {
    const sidecar = new Sidecar({
      app: { host: '127.0.0.1', port: (this.app.address() as AddressInfo).port },
      listen: { host: '127.0.0.1', port: 0 },
      health: { host: '127.0.0.1', port: 0 },
      endpoint: this.signal.url,
      status: 429,
      exempt: ['/healthz'],
      dryRun: false,
      maxConnections: 1_024,
      ...options,
    });
    this.#sidecar = sidecar;
    this.cleanup.push(() => sidecar.close());
    const started = await sidecar.start();
    if (started instanceof Error) throw started;
    Object.assign(this, started);
  }

  ask(path: string, more: Ask = {}): Promise<{ status: number; message: IncomingMessage; body: string }> {
    return new Promise((resolve, reject) => {
      const { body, ...options } = more;
      const call = request({ host: '127.0.0.1', port: this.port, path, ...options }, (message) => {
        bodyOf(message).then(
          (text) => resolve({ status: message.statusCode ?? 0, message, body: text }),
          reject,
        );
      });
      call.on('error', reject).end(body);
    });
  }

  /** A page of its health server. */
  async page(path: string): Promise<{ status: number; body: string }> {
    const call = get({ host: '127.0.0.1', port: this.healthPort, path });
    const [message] = (await once(call, 'response')) as [IncomingMessage];
    return { status: message.statusCode ?? 0, body: await bodyOf(message) };
  }

  async metric(name: string): Promise<number> {
    const { body } = await this.page('/metrics');
    const line = body.split('\n').find((each) => each.startsWith(name));
    return Number(line?.split(' ').at(-1));
  }

  async sheds(): Promise<void> {
    const level = () => this.metric('scx_slo_client_level{source="agent"}');
    await expect.poll(level, WAIT).toBeGreaterThan(0);
  }

  /** A connection that bytes are written into as they are. */
  async raw(bytes: string): Promise<{ socket: Socket; text: () => string }> {
    const socket = connect({ host: '127.0.0.1', port: this.port });
    this.cleanup.push(() => socket.destroy());
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(bytes);
    return { socket, text: () => text };
  }
}
