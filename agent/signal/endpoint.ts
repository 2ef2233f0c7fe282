/** Everything that answers callers: TCP for pods, a Unix socket a pod and a cgroup where asked for. */
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import { type Failure, isFailure } from '../failure.ts';
import type { ListenAddress } from '../flags.ts';
import { listen } from '../observe/http-server.ts';
import { pathKey } from './callers.ts';
import { Connections } from './connections.ts';
import { type SignalCounts, SignalHandler } from './handler.ts';
import { HandlerTimes } from './handler-times.ts';
import type { LevelTable } from './level-table.ts';
import type { QueueReport } from './report.ts';
import { createSignalServer } from './server.ts';
import { cgroupSocketName, SignalSockets } from './sockets.ts';
import type { CgroupOwner } from './wire.ts';

export interface EndpointOptions {
  listen: ListenAddress;
  /** For the message where that address cannot be had. */
  listenFlag: string;
  podSockets: string | undefined;
  cgroupSockets: string | undefined;
  maxConnections: number;
}

export interface EndpointParts {
  table: LevelTable;
  counts: SignalCounts;
  onReport: (podUid: string, report: QueueReport) => boolean;
  onFailure: (failure: Failure) => void;
}

export class SignalEndpoint {
  readonly connections: Connections;
  readonly handler: SignalHandler;
  readonly times = new HandlerTimes();
  readonly #options: EndpointOptions;
  readonly #parts: EndpointParts;
  readonly #tcp: Server;
  readonly #pods: SignalSockets | undefined;
  readonly #cgroups: SignalSockets | undefined;

  constructor(options: EndpointOptions, parts: EndpointParts) {
    const { table, counts, onReport } = parts;
    const nowMs = (): number => performance.now();
    this.#options = options;
    this.#parts = parts;
    this.connections = new Connections(options.maxConnections, nowMs);
    const bootId = randomBytes(6).toString('hex');
    this.handler = new SignalHandler({ table, counts, onReport, bootId, nowMs });
    this.#tcp = this.#server((address = '') => ({ id: address, key: table.keyOf(address) }));
    this.#pods = this.#sockets(options.podSockets);
    this.#cgroups = this.#sockets(options.cgroupSockets);
  }

  /** @returns the port; undefined: off. */
  async start(): Promise<number | undefined | Failure> {
    const { listen: at, listenFlag } = this.#options;
    if (at === undefined) return undefined;
    const address = await listen(this.#tcp, at.host, at.port, listenFlag);
    return isFailure(address) ? address : address.port;
  }

  stop(): void {
    this.#tcp.close();
    this.#tcp.closeAllConnections();
    this.#pods?.close();
    this.#cgroups?.close();
  }

  /** A socket for each pod that has a level. */
  syncPodSockets(): void {
    if (this.#pods === undefined) return;
    const wishes = [...this.#parts.table.callers()]
      .filter(({ said }) => /^[0-9A-Za-z-]{1,64}$/.test(said.podUid))
      .map(({ said }) => ({ key: said.key, name: said.podUid, owner: undefined }));
    this.#pods.reconcile(wishes);
  }

  setCgroups(cgroups: readonly CgroupOwner[]): void {
    const root = this.#options.cgroupSockets;
    if (this.#cgroups === undefined || root === undefined) return;
    this.#cgroups.reconcile(
      cgroups.map(({ path, uid, gid }) => ({
        key: pathKey(path),
        name: cgroupSocketName(root, path),
        owner: { uid, gid },
      })),
    );
  }

  #sockets(root: string | undefined): SignalSockets | undefined {
    if (root === undefined) return undefined;
    return new SignalSockets(
      root,
      (key) => this.#server(() => ({ id: key, key })),
      (failure) => this.#parts.onFailure(failure),
    );
  }

  #server(callerOf: Parameters<typeof createSignalServer>[0]['callerOf']): Server {
    const { handler, connections, times } = this;
    return createSignalServer({ handler, connections, callerOf, onHandled: (ms) => times.add(ms) });
  }
}
