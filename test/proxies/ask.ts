/** Requests as a caller of a proxy makes them: paths and headers go out as they are written. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  tookMs: number;
}

export interface Ask {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: Buffer;
}

const TIMEOUT_MS = 15_000;

export class Caller {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 });

  constructor(port: number) {
    this.#port = port;
  }

  ask({ path = '/orders', method = 'GET', headers = {}, body }: Ask = {}): Promise<Reply> {
    const startMs = performance.now();
    return new Promise((resolve, reject) => {
      const call = request(
        { host: '127.0.0.1', port: this.#port, path, method, headers, agent: this.#agent },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part;
          });
          response.on('error', reject).on('end', () => {
            const { statusCode = 0, headers: replied } = response;
            resolve({
              status: statusCode,
              headers: replied,
              body: text,
              tookMs: performance.now() - startMs,
            });
          });
        },
      );
      call.setTimeout(TIMEOUT_MS, () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      call.on('error', reject).end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
