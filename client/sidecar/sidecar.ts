/** A reverse proxy in front of one app that sheds by the node's signal. HTTP/1.1; fails open. */
import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createShedder, type Shedder } from '../index.ts';
import { pathOf, rejectionHeaders } from '../request-rules.ts';
import { Forwarder } from './forward.ts';
import type { Address, SidecarOptions } from './options.ts';
import { answerRaw, Upgrader } from './upgrade.ts';

const MAX_HEADER_BYTES = 64 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the idle time of what is in front, so that it is not us who close. */
const KEEP_ALIVE_MS = 75_000;
const CONNECTIONS_CHECK_MS = 1_000;
const DRAIN_MS = 25_000;
const SWEEP_MS = 50;
const STATUS_TEXT = { 429: 'Too Many Requests', 503: 'Service Unavailable' };

/** @returns the address it listens on, or why it does not. */
const listen = (server: Server, { host, port }: Address): Promise<AddressInfo | Error> =>
  new Promise((resolve) => {
    server.once('error', resolve);
    server.listen({ port, ...(host !== '' && { host }) }, () => {
      server.off('error', resolve);
      resolve(server.address() as AddressInfo);
    });
  });

export class Sidecar {
  readonly #options: SidecarOptions;
  readonly #shedder: Shedder;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 256, scheduling: 'lifo' });
  readonly #upgrader: Upgrader;
  readonly #server: Server;
  readonly #health: Server;
  #appErrors = 0;
  #draining: boolean = false;

  constructor(options: SidecarOptions) {
    this.#options = options;
    this.#shedder = createShedder({ endpoint: options.endpoint, dryRun: options.dryRun });
    const counts = {
      onAppError: () => {
        this.#appErrors += 1;
      },
    };
    this.#upgrader = new Upgrader(options.app, counts);
    const forwarder = new Forwarder(options.app, this.#agent, counts);
    this.#server = this.#proxyServer(forwarder);
    this.#health = createServer({ maxHeaderSize: 8_192 }, (request, response) =>
      this.#page(request, response),
    );
  }

  /** @returns the ports, or why it does not listen. */
  async start(): Promise<{ port: number; healthPort: number } | Error> {
    const address = await listen(this.#server, this.#options.listen);
    if (address instanceof Error) return address;
    const health = await listen(this.#health, this.#options.health);
    if (health instanceof Error) return health;
    return { port: address.port, healthPort: health.port };
  }

  /** Takes no new connections and waits for the requests under way. */
  async drain(limitMs = DRAIN_MS): Promise<void> {
    this.#draining = true;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    // Those that are busy now are idle after their answer.
    const sweep = setInterval(() => this.#server.closeIdleConnections(), SWEEP_MS);
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      limit = setTimeout(resolve, limitMs);
    });
    // A tunnel has no end of its own: what waits for it would wait for ever.
    await Promise.race([closed, late]);
    clearTimeout(limit);
    clearInterval(sweep);
    this.close();
  }

  close(): void {
    this.#shedder.close();
    this.#upgrader.close();
    this.#agent.destroy();
    for (const server of [this.#server, this.#health]) {
      server.close();
      server.closeAllConnections();
    }
  }

  #proxyServer(forwarder: Forwarder): Server {
    const listener = this.#shedder.http((request, response) => forwarder.forward(request, response), {
      exempt: (request) => this.#isExempt(request),
      status: this.#options.status,
    });
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      request.on('error', () => undefined);
      response.on('error', () => undefined);
      listener(request, response);
    };
    const server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        // Uploads take their time.
        requestTimeout: 0,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
        noDelay: true,
      },
      handle,
    );
    server.maxConnections = this.#options.maxConnections;
    // Neither is Node's to answer: 100 comes from the app, and only for what is not shed.
    server.on('checkContinue', handle);
    server.on('checkExpectation', handle);
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
    server.on('connect', (_request, socket) => answerRaw(socket, '405 Method Not Allowed'));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const isLarge = error.code === 'HPE_HEADER_OVERFLOW';
      answerRaw(socket, isLarge ? '431 Request Header Fields Too Large' : '400 Bad Request');
    });
    return server;
  }

  #isExempt(request: IncomingMessage): boolean {
    const path = pathOf(request.url);
    return this.#options.exempt.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (!this.#isExempt(request) && this.#shedder.shouldShed()) {
      const { status } = this.#options;
      answerRaw(socket, `${status} ${STATUS_TEXT[status]}`, rejectionHeaders(this.#shedder.retryAfterMs));
      return;
    }
    this.#upgrader.upgrade(request, socket, head);
  }

  #page(request: IncomingMessage, response: ServerResponse): void {
    const pages: Readonly<Record<string, () => [number, string]>> = {
      '/healthz': () => [200, 'ok\n'],
      '/readyz': () => (this.#draining ? [503, 'draining\n'] : [200, 'ok\n']),
      '/metrics': () => [200, this.#metrics()],
    };
    const path = pathOf(request.url);
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    const [status, body] = page === undefined ? [404, 'not found\n'] : page();
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' });
    response.end(body);
  }

  #metrics(): string {
    return [
      this.#shedder.metricsText(),
      '# HELP scx_slo_sidecar_app_errors_total Requests that the app did not answer.\n',
      '# TYPE scx_slo_sidecar_app_errors_total counter\n',
      `scx_slo_sidecar_app_errors_total ${this.#appErrors}\n`,
      '# HELP scx_slo_sidecar_tunnels Connections that were upgraded.\n',
      '# TYPE scx_slo_sidecar_tunnels gauge\n',
      `scx_slo_sidecar_tunnels ${this.#upgrader.open}\n`,
    ].join('');
  }
}
