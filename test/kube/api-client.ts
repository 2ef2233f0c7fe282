/** JSON over HTTPS to the API server, as a test reads and writes objects when kubectl is not what is tested. */
import { Agent, request } from 'node:https';

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name?: string;
    generateName?: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    annotations?: Record<string, string>;
    labels?: Record<string, string>;
    [more: string]: unknown;
  };
  [more: string]: unknown;
}

export interface Answer<T = KubeObject> {
  status: number;
  body: T;
  /** The texts of the Warning headers. */
  warnings: string[];
}

export type PatchType = 'strategic-merge-patch' | 'merge-patch' | 'json-patch';

const LIMIT_MS = 30_000;

export class ApiClient {
  readonly #agent: Agent;
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, ca: string, token: string) {
    this.#agent = new Agent({ ca, keepAlive: true, maxSockets: 64 });
    this.#url = url;
    this.#token = token;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Any answer of the server; fails when there is none. */
  send<T = KubeObject>(
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<Answer<T>> {
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': contentType }),
      };
      const sent = request(
        `${this.#url}${path}`,
        { method, headers, agent: this.#agent, timeout: LIMIT_MS },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('error', reject);
          response.once('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            resolve({
              status: response.statusCode ?? 0,
              body: jsonOrText(text) as T,
              warnings: warningsOf(response.rawHeaders),
            });
          });
        },
      );
      sent.once('timeout', () =>
        sent.destroy(new Error(`${method} ${path}: no answer within ${LIMIT_MS} ms`)),
      );
      sent.once('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** As send, but fails when the server refuses. */
  async ok<T = KubeObject>(method: string, path: string, body?: unknown, contentType?: string): Promise<T> {
    const answer = await this.send<T>(method, path, body, contentType);
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  get<T = KubeObject>(path: string): Promise<T> {
    return this.ok<T>('GET', path);
  }

  async list(path: string): Promise<KubeObject[]> {
    return (await this.ok<{ items: KubeObject[] }>('GET', path)).items;
  }

  create(path: string, object: unknown): Promise<KubeObject> {
    return this.ok('POST', path, object);
  }

  patch(path: string, patch: unknown, type: PatchType = 'merge-patch'): Promise<KubeObject> {
    return this.ok('PATCH', path, patch, `application/${type}+json`);
  }

  /** Also when there is nothing. */
  async remove(path: string): Promise<void> {
    const { status, body } = await this.send('DELETE', path);
    if (status >= 300 && status !== 404) throw new Error(`DELETE ${path}: ${status} ${JSON.stringify(body)}`);
  }
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `299 - "text"`, with quotes inside escaped. */
function warningsOf(rawHeaders: readonly string[]): string[] {
  return rawHeaders.flatMap((name, index) => {
    if (index % 2 === 1 || name.toLowerCase() !== 'warning') return [];
    const match = /^\d+ \S+ "(.*)"$/s.exec(rawHeaders[index + 1] ?? '');
    return match === null ? [] : [(match[1] ?? '').replaceAll(/\\(.)/g, '$1')];
  });
}
