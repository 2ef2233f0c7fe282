/** Small HTTP servers of the agent: a table of GET routes, hardened, without a framework. */
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { type Failure, failure } from '../failure.ts';
import { createServer } from '../lean-http.ts';

export interface Page {
  status: number;
  contentType: string;
  /** In pieces: the event loop runs between them. */
  body: Iterable<string>;
}

export type Routes = Readonly<Record<string, () => Page>>;

export const textPage = (status: number, text: string): Page => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body: [`${text}\n`],
});

export const jsonPage = (value: unknown): Page => ({
  status: 200,
  contentType: 'application/json',
  body: [`${JSON.stringify(value)}\n`],
});

const MAX_CONNECTIONS = 128;

const sendPage = async (response: ServerResponse, page: Page): Promise<void> => {
  response.writeHead(page.status, {
    'Content-Type': page.contentType,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  for (const piece of page.body) {
    if (response.destroyed) return;
    if (!response.write(piece)) {
      await new Promise<void>((resolve) => {
        response.once('drain', resolve).once('close', resolve);
      });
    }
    await yieldToLoop();
  }
  response.end();
};

/** Does not listen yet. @param onError a bug in a page: told, and answered with 500. */
export const createPageServer = (routes: Routes, onError: (error: unknown) => void): Server => {
  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 30_000,
      connectionsCheckingInterval: 5_000,
    },
    (request, response) => {
      const path = (request.url ?? '').split('?', 1)[0] ?? '';
      const page = Object.hasOwn(routes, path) ? routes[path] : undefined;
      if (page === undefined) {
        sendPage(response, textPage(404, 'not found')).catch(onError);
        return;
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('Allow', 'GET, HEAD');
        sendPage(response, textPage(405, 'method not allowed')).catch(onError);
        return;
      }
      try {
        sendPage(response, page()).catch(onError);
      } catch (error) {
        onError(error);
        sendPage(response, textPage(500, 'internal error')).catch(onError);
      }
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  return server;
};

/** @returns where it listens, or why it does not. */
export const listen = (
  server: Server,
  host: string,
  port: number,
  flag: string,
): Promise<AddressInfo | Failure> =>
  new Promise((resolve) => {
    const onError = (error: Error): void => {
      const next = `free the port or choose another with --${flag} (or \`off\`)`;
      resolve(failure('SLO_E_LISTEN', `cannot listen on ${host}:${port}`, error.message, next));
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      resolve(server.address() as AddressInfo);
    });
  });
