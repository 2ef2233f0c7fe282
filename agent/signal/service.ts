/**
 * The agent's side of the signal: with a levels socket, levels go to a process of their own; without one, this process
 * answers the pods. Either way the counts end up here.
 */
import { statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Failure } from '../failure.ts';
import type { ShedAnswers } from '../observe/agent-view.ts';
import type { AgentOptions } from '../options.ts';
import type { DesiredSlot } from '../plan/desired-slot.ts';
import type { PodTarget } from '../pods/target.ts';
import type { OwnReport, PodLevel } from '../shed/feed.ts';
import { callersByAddress, podKey } from './callers.ts';
import { SignalEndpoint } from './endpoint.ts';
import { LevelPublisher } from './level-publisher.ts';
import { LevelTable } from './level-table.ts';
import { signalSocketPath } from './sockets.ts';
import type { AnswerCount, CgroupOwner, SignalMessage } from './wire.ts';

export type SignalServiceOptions = Pick<AgentOptions, 'signalAddress' | 'signalDir' | 'levelsSocket'>;

const MAX_CONNECTIONS = 4_096;
const POD_KEY = podKey('');
const NO_ADDRESSES: readonly string[] = [];

const hostAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));

/** Cgroups of the config file with their owners; one that is gone by now has none. */
const ownersOf = (slots: readonly DesiredSlot[], mount: string): CgroupOwner[] =>
  slots.flatMap(({ owner, path }): CgroupOwner[] => {
    const stat = owner.kind === 'path' ? statSync(join(mount, path), { throwIfNoEntry: false }) : undefined;
    return stat === undefined ? [] : [{ path, uid: stat.uid, gid: stat.gid }];
  });

export class SignalService {
  readonly answers = new Map<string, ShedAnswers>();
  unknownCallers = 0;
  readonly #options: SignalServiceOptions;
  readonly #table = new LevelTable();
  readonly #endpoint: SignalEndpoint | undefined;
  readonly #publisher: LevelPublisher | undefined;
  readonly #onReport: (report: OwnReport) => void;
  #ips = new Map<string, string[]>();

  /** @param onReport hears what pods say of themselves. */
  constructor(options: SignalServiceOptions, log: Logger, onReport: (report: OwnReport) => void) {
    this.#options = options;
    this.#onReport = onReport;
    if (options.levelsSocket === undefined) this.#endpoint = this.#makeEndpoint(log);
    else this.#publisher = new LevelPublisher(options.levelsSocket, (message) => this.#onMessage(message));
  }

  /** @returns the port; undefined: none, or another process has it. */
  async start(): Promise<number | undefined | Failure> {
    return (await this.#publisher?.start()) ?? (await this.#endpoint?.start());
  }

  stop(): void {
    this.#endpoint?.stop();
    this.#publisher?.stop();
  }

  publish(levels: readonly PodLevel[], nowMs: number): void {
    this.#table.take({ full: true, levels, gone: [] }, nowMs);
    this.#publisher?.publish(levels, nowMs);
  }

  /** @returns addresses that are that pod's alone. */
  addressesOf(key: string): readonly string[] {
    return this.#ips.get(key) ?? NO_ADDRESSES;
  }

  setPods(pods: Iterable<PodTarget>): void {
    const all = [...pods];
    this.#ips = new Map();
    for (const [address, key] of callersByAddress(all, hostAddresses())) {
      const ofKey = this.#ips.get(key) ?? [];
      ofKey.push(address);
      this.#ips.set(key, ofKey);
    }
    const known = new Map(all.map((pod) => [podKey(pod.uid), pod]));
    for (const key of this.answers.keys())
      if (key.startsWith(POD_KEY) && !known.has(key)) this.answers.delete(key);
    for (const [key, { namespace, name }] of known) {
      if (!this.answers.has(key)) this.answers.set(key, { namespace, pod: name, allowed: 0, denied: 0 });
    }
  }

  /** @param mount of the cgroup hierarchy, whose directories say who owns a socket. */
  setSlots(slots: readonly DesiredSlot[], mount: string): void {
    const { signalDir, levelsSocket } = this.#options;
    if (signalDir === undefined && levelsSocket === undefined) return;
    const owners = ownersOf(slots, mount);
    this.#endpoint?.setCgroups(owners);
    this.#publisher?.setCgroups(owners);
  }

  socketOf(path: string): string | undefined {
    const { signalDir } = this.#options;
    return signalDir === undefined ? undefined : signalSocketPath(signalDir, path);
  }

  #makeEndpoint(log: Logger): SignalEndpoint {
    const { signalAddress, signalDir } = this.#options;
    return new SignalEndpoint(
      {
        listen: signalAddress,
        listenFlag: 'signal-address',
        podSockets: undefined,
        cgroupSockets: signalDir,
        maxConnections: MAX_CONNECTIONS,
      },
      {
        table: this.#table,
        counts: {
          onDecision: (key, denied) => this.#count({ key, allowed: denied ? 0 : 1, denied: denied ? 1 : 0 }),
          onUnknown: () => {
            this.unknownCallers += 1;
          },
        },
        onReport: (podUid, { queueWaitMs }) => this.#report(podUid, queueWaitMs),
        onFailure: (problem) => log.error({ failure: problem }, problem.what),
      },
    );
  }

  #onMessage(message: SignalMessage): void {
    if (message.t === 'report') {
      this.#report(message.podUid, message.queueWaitMs);
      return;
    }
    this.unknownCallers += message.unknown;
    // Only callers that have a level: the other process cannot make up more.
    for (const count of message.answers) if (this.#table.get(count.key) !== undefined) this.#count(count);
  }

  /** @returns is it a pod's that we know. */
  #report(podUid: string, queueWaitMs: number): boolean {
    if (this.#table.get(podKey(podUid)) === undefined) return false;
    this.#onReport({ podUid, queueWaitMs, receivedAtMs: performance.now() });
    return true;
  }

  #count({ key, allowed, denied }: AnswerCount): void {
    const path = key.replace(/^path/, '');
    const answers = this.answers.get(key) ?? { namespace: '', pod: path, allowed: 0, denied: 0 };
    answers.allowed += allowed;
    answers.denied += denied;
    this.answers.set(key, answers);
  }
}
