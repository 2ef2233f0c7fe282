/**
 * An API server over real HTTPS on loopback that does, when told, what real ones do on bad days: errors, 410, silence,
 * broken connections, garbage, lost events. Lists with pages, watches with bookmarks, bearer tokens.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Credentials, inClusterCredentials } from '../../kube/credentials.ts';
import { type Ca, createCa, issue } from './certificates.ts';
import { KubeStore, parseSelector, type Selector, type StoredEvent, selects } from './kube-store.ts';

export interface SeenRequest {
  kind: 'list' | 'watch' | 'write' | 'get';
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: unknown;
  atMs: number;
}

export interface Fault {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

interface Watcher {
  resource: string;
  selector: Selector;
  response: ServerResponse;
}

export const statusBody = (code: number, reason: string, message: string): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message });

export const EXPIRED = statusBody(410, 'Expired', 'too old resource version: 1 (2)');

/** `/api/v1/namespaces/shop/pods/cart/status` -> pods, shop, cart. */
const parsePath = (path: string): { resource: string; namespace: string; name: string } => {
  const parts = path.split('/').filter((part) => part !== '');
  const below = parts.slice(parts[0] === 'api' ? 2 : 3);
  const isNamespaced = below[0] === 'namespaces' && below.length > 2;
  const [resource = '', name = ''] = isNamespaced ? below.slice(2) : below;
  return { resource, namespace: isNamespaced ? (below[1] ?? '') : '', name };
};

const kindOf = (method: string, name: string, query: URLSearchParams): SeenRequest['kind'] => {
  if (method !== 'GET') return 'write';
  if (name !== '') return 'get';
  return query.get('watch') === 'true' ? 'watch' : 'list';
};

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString('utf8');
  return text === '' ? undefined : JSON.parse(text);
};

export class FakeKubeApi {
  readonly store = new KubeStore();
  readonly requests: SeenRequest[] = [];
  readonly tokens = new Set(['token-1']);
  /** TLS handshakes that were begun. */
  connections = 0;
  /** Asked before each answer. */
  fault: (request: SeenRequest) => Fault | undefined = () => undefined;
  /** What a write is answered with. */
  onWrite: (request: SeenRequest) => unknown = ({ body }) => body;
  readonly #directory = mkdtempSync(join(tmpdir(), 'kube-api-'));
  readonly #sockets = new Set<Socket>();
  readonly #watchers = new Set<Watcher>();
  #server: Server | undefined;
  #port = 0;

  static async start(): Promise<FakeKubeApi> {
    const api = new FakeKubeApi();
    const ca = await createCa('kube-api');
    await api.#certify(ca);
    api.setToken('token-1');
    api.store.on('event', (resource: string, event: StoredEvent) => api.#publish(resource, event));
    await api.listen();
    return api;
  }

  /** Those of a pod whose service account's files are in a directory of this test. */
  credentials(): Credentials {
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(this.#port) };
    const credentials = inClusterCredentials(env, this.#directory);
    if (credentials === undefined) throw new Error('no credentials');
    return credentials;
  }

  /** Where `token` and `ca.crt` are. */
  get directory(): string {
    return this.#directory;
  }

  get server(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  setToken(token: string): void {
    writeFileSync(join(this.#directory, 'token'), `${token}\n`);
  }

  /** A new authority and a new certificate: connections from now on need the new one. */
  async rotateAuthority(): Promise<void> {
    await this.#certify(await createCa('kube-api-2'));
  }

  /** Again on the same port, as after a restart. */
  async listen(): Promise<void> {
    const server = this.#server;
    if (server === undefined) throw new Error('no server');
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }

  /** As a server that is killed: nothing is said to anybody. */
  async kill(): Promise<void> {
    this.#server?.close();
    this.breakConnections();
    if (this.#server !== undefined) await once(this.#server, 'close');
  }

  async close(): Promise<void> {
    if (this.#server?.listening) await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** In order, as when their time is over. */
  endWatches(): void {
    for (const { response } of this.#watchers) response.end();
  }

  bookmark(): void {
    const metadata = { resourceVersion: String(this.store.version) };
    this.sendRaw(`${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Pod', metadata } })}\n`);
  }

  /** To every watcher, whatever it is. */
  sendRaw(text: string | Buffer): void {
    for (const { response } of this.#watchers) response.write(text);
  }

  seen(kind: SeenRequest['kind']): SeenRequest[] {
    return this.requests.filter((request) => request.kind === kind);
  }

  async #certify(ca: Ca): Promise<void> {
    const leaf = await issue(ca, { ips: ['127.0.0.1'] });
    writeFileSync(join(this.#directory, 'ca.crt'), ca.cert);
    if (this.#server !== undefined) {
      this.#server.setSecureContext(leaf);
      return;
    }
    this.#server = createServer(leaf, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        response.writeHead(500).end(statusBody(500, 'InternalError', String(error)));
      });
    });
    this.#server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.server);
    const { method = 'GET', headers } = request;
    const { resource, namespace, name } = parsePath(url.pathname);
    const query = url.searchParams;
    const kind = kindOf(method, name, query);
    const body = await bodyOf(request);
    const seen = { kind, method, path: url.pathname, query, headers, body, atMs: performance.now() };
    this.requests.push(seen);
    const fault = this.#faultOf(seen);
    if (fault !== undefined) {
      response.writeHead(fault.status, { 'Content-Type': 'application/json', ...fault.headers });
      response.end(fault.body ?? statusBody(fault.status, 'Fault', `HTTP ${fault.status}`));
    } else if (kind === 'list') {
      this.#list(resource, query, response);
    } else if (kind === 'watch') {
      this.#watch(resource, query, response);
    } else {
      const object = kind === 'write' ? this.onWrite(seen) : this.store.get(resource, name, namespace);
      response.writeHead(object === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
      response.end(object === undefined ? statusBody(404, 'NotFound', 'not found') : JSON.stringify(object));
    }
  }

  #faultOf(seen: SeenRequest): Fault | undefined {
    const token = seen.headers.authorization?.replace(/^Bearer /, '') ?? '';
    return this.tokens.has(token) ? this.fault(seen) : { status: 401, body: 'Unauthorized' };
  }

  #list(resource: string, query: URLSearchParams, response: ServerResponse): void {
    const selector = parseSelector(query);
    const all = this.store.list(resource).filter((object) => selects(selector, object));
    const from = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? 0) || all.length;
    const items = all.slice(from, from + limit);
    const more = from + limit < all.length ? { continue: String(from + limit) } : {};
    const metadata = { resourceVersion: String(this.store.version), ...more };
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ kind: 'List', apiVersion: 'v1', metadata, items }));
  }

  #watch(resource: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion') ?? 0);
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    if (from < this.store.oldestVersion) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: JSON.parse(EXPIRED) })}\n`);
      return;
    }
    const watcher = { resource, selector: parseSelector(query), response };
    for (const event of this.store.since(resource, from)) this.#send(watcher, event);
    this.#watchers.add(watcher);
    const timer = setTimeout(() => response.end(), Number(query.get('timeoutSeconds') ?? 300) * 1000);
    response.once('close', () => {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    });
  }

  #publish(resource: string, event: StoredEvent): void {
    for (const watcher of this.#watchers) if (watcher.resource === resource) this.#send(watcher, event);
  }

  #send({ selector, response }: Watcher, { type, object }: StoredEvent): void {
    if (selects(selector, object)) response.write(`${JSON.stringify({ type, object })}\n`);
  }
}
