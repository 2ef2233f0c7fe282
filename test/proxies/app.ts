/** The app behind a proxy: says what reached it. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Arrived {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  bodyBytes: number;
}

export class App {
  readonly arrived: Arrived[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer({ maxHeaderSize: 256 * 1024 }, async (request, response) => {
      let bodyBytes = 0;
      try {
        for await (const part of request) bodyBytes += (part as Buffer).length;
      } catch {
        return;
      }
      const { method = '', url = '', headers } = request;
      this.arrived.push({ method, url, headers, bodyBytes });
      // An app may have a 403 and a 502 of its own.
      const status = Number(/[?&]status=([0-9]{3})/.exec(url)?.[1] ?? 200);
      response.writeHead(status, { 'Content-Type': 'text/plain', 'X-App': '1' }).end('served by the app');
    });
  }

  async start(): Promise<number> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}
