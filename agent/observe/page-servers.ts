/** The agent's two page servers: metrics and probes on the pod's address, /v1/pods on loopback. */
import type { Server } from 'node:http';
import type { Logger } from 'pino';
import { type Failure, isFailure } from '../failure.ts';
import type { ListenAddress } from '../flags.ts';
import type { AgentOptions } from '../options.ts';
import type { AgentView } from './agent-view.ts';
import { createPageServer, listen, type Routes } from './http-server.ts';
import { localPages, metricsPages } from './pages.ts';

export class PageServers {
  readonly #servers: Server[] = [];
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @returns the ports that the servers got; undefined: off. */
  async start(
    options: Pick<AgentOptions, 'metricsAddress' | 'localAddress'>,
    view: () => AgentView,
    isReady: () => boolean,
  ): Promise<{ metrics: number | undefined; local: number | undefined } | Failure> {
    const metricsRoutes = metricsPages(view, isReady);
    const metrics = await this.#listen(metricsRoutes, options.metricsAddress, 'metrics-address');
    if (isFailure(metrics)) return metrics;
    const local = await this.#listen(localPages(view), options.localAddress, 'local-address');
    return isFailure(local) ? local : { metrics, local };
  }

  stop(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  async #listen(routes: Routes, at: ListenAddress, flag: string): Promise<number | undefined | Failure> {
    if (at === undefined) return undefined;
    const server = createPageServer(routes, (error) => this.#log.error({ err: error }, 'a page failed'));
    this.#servers.push(server);
    const address = await listen(server, at.host, at.port, flag);
    return isFailure(address) ? address : address.port;
  }
}
