/** The signal endpoint of the agent: TCP for pods, a Unix socket for each cgroup of the config file. */
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Failure, isFailure } from '../failure.ts';
import type { ShedAnswers } from '../observe/agent-view.ts';
import { listen } from '../observe/http-server.ts';
import type { AgentOptions } from '../options.ts';
import type { DesiredSlot } from '../plan/desired-slot.ts';
import type { PodTarget } from '../pods/target.ts';
import type { LevelBoard } from '../shed/level-board.ts';
import { callersByAddress, normaliseAddress, pathKey, podKey } from './callers.ts';
import { createSignalServer } from './server.ts';
import { SignalSockets, type SocketWish, signalSocketPath } from './sockets.ts';

const hostAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));

export class SignalService {
  readonly answers = new Map<string, ShedAnswers>();
  unknownCallers = 0;
  readonly #options: Pick<AgentOptions, 'signalAddress' | 'signalDir'>;
  readonly #board: LevelBoard;
  readonly #bootId = randomBytes(6).toString('hex');
  readonly #tcp: Server;
  readonly #sockets: SignalSockets | undefined;
  #callers = new Map<string, string>();

  constructor(options: Pick<AgentOptions, 'signalAddress' | 'signalDir'>, board: LevelBoard, log: Logger) {
    this.#options = options;
    this.#board = board;
    this.#tcp = this.#server((address) => this.#callers.get(normaliseAddress(address ?? '')));
    this.#sockets =
      options.signalDir === undefined
        ? undefined
        : new SignalSockets(
            options.signalDir,
            (key) => this.#server(() => key),
            (problem) => log.error({ failure: problem }, problem.what),
          );
  }

  /** @returns the port; undefined: off. */
  async start(): Promise<number | undefined | Failure> {
    const { signalAddress } = this.#options;
    if (signalAddress === undefined) return undefined;
    const address = await listen(this.#tcp, signalAddress.host, signalAddress.port, 'signal-address');
    return isFailure(address) ? address : address.port;
  }

  stop(): void {
    this.#tcp.close();
    this.#tcp.closeAllConnections();
    this.#sockets?.close();
  }

  setPods(pods: Iterable<PodTarget>): void {
    const all = [...pods];
    this.#callers = callersByAddress(all, hostAddresses());
    const known = new Map(all.map((pod) => [podKey(pod.uid), pod]));
    for (const key of this.answers.keys())
      if (key.startsWith('pod/') && !known.has(key)) this.answers.delete(key);
    for (const [key, { namespace, name }] of known) {
      if (!this.answers.has(key)) this.answers.set(key, { namespace, pod: name, allowed: 0, denied: 0 });
    }
  }

  /** @param mount of the cgroup hierarchy, whose directories say who owns a socket. */
  setSlots(slots: readonly DesiredSlot[], mount: string): void {
    if (this.#sockets === undefined) return;
    const wishes = slots.flatMap(({ owner, path }): SocketWish[] =>
      owner.kind === 'path' ? [{ key: pathKey(path), path, directory: join(mount, path) }] : [],
    );
    this.#sockets.reconcile(wishes);
  }

  socketOf(path: string): string | undefined {
    const { signalDir } = this.#options;
    return signalDir === undefined ? undefined : signalSocketPath(signalDir, path);
  }

  #server(keyOf: (address: string | undefined) => string | undefined): Server {
    return createSignalServer({
      board: this.#board,
      keyOf,
      counts: {
        onDecision: (key, denied) => this.#count(key, denied),
        onUnknown: () => {
          this.unknownCallers += 1;
        },
      },
      bootId: this.#bootId,
      nowMs: () => performance.now(),
    });
  }

  #count(key: string, denied: boolean): void {
    const answers = this.answers.get(key) ?? {
      namespace: '',
      pod: key.replace(/^path/, ''),
      allowed: 0,
      denied: 0,
    };
    if (denied) answers.denied += 1;
    else answers.allowed += 1;
    this.answers.set(key, answers);
  }
}
