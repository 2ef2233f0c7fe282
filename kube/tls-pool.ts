/** One agent, and so one pool of connections, for as long as the certificates stay the same. */
import { createHash } from 'node:crypto';
import type { Agent, AgentOptions } from 'node:https';
import type { TlsTrust } from './credentials.ts';

const https = process.getBuiltinModule('node:https');

/** Below the idle time of load balancers (350 s and less), often enough to find a dead peer. */
const TCP_KEEP_ALIVE_MS = 30_000;
const FREE_SOCKETS_MAX = 4;

const fingerprint = (tls: TlsTrust): string => {
  const hash = createHash('sha256');
  for (const [name, value] of Object.entries(tls)) {
    if (value !== undefined) hash.update(`${name}\0`).update(Buffer.isBuffer(value) ? value : String(value));
    hash.update('\0');
  }
  return hash.digest('base64');
};

export class TlsPool {
  #agent: Agent | undefined;
  #fingerprint = '';
  #opened = 0;
  /** Of certificates that were replaced: a watch on one goes on until it ends by itself. */
  readonly #retired = new Set<Agent>();
  readonly #closing = new AbortController();

  /** TLS connections that were opened so far. */
  get opened(): number {
    return this.#opened;
  }

  /** Throws where the certificates are unusable, or the pool is closed. */
  agent(tls: TlsTrust): Agent {
    if (this.#closing.signal.aborted) throw new Error('the connection is closed');
    const now = fingerprint(tls);
    if (this.#agent !== undefined && now === this.#fingerprint) return this.#agent;
    const agent = this.#create(tls);
    if (this.#agent !== undefined) this.#retire(this.#agent);
    this.#agent = agent;
    this.#fingerprint = now;
    return agent;
  }

  close(): void {
    this.#closing.abort();
    this.#agent?.destroy();
    for (const agent of this.#retired) agent.destroy();
    this.#retired.clear();
  }

  #create(tls: TlsTrust): Agent {
    const options: AgentOptions = {
      ...tls,
      keepAlive: true,
      keepAliveMsecs: TCP_KEEP_ALIVE_MS,
      maxFreeSockets: FREE_SOCKETS_MAX,
      minVersion: 'TLSv1.2',
    };
    const agent = new https.Agent(options);
    const create = agent.createConnection.bind(agent);
    agent.createConnection = (...args) => {
      this.#opened += 1;
      return create(...args);
    };
    return agent;
  }

  #retire(agent: Agent): void {
    for (const sockets of Object.values(agent.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy();
    }
    for (const old of this.#retired) if (Object.keys(old.sockets).length === 0) this.#retired.delete(old);
    this.#retired.add(agent);
  }
}
