/**
 * etcd, kube-apiserver, kube-controller-manager and kube-scheduler on loopback, with ports, certificates and data of
 * their own. Whoever started it can restart the API server, stop etcd for a while, and compact its history.
 */
import { mkdirSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { ApiClient } from './api-client.ts';
import {
  apiServerFlags,
  apiUrl,
  controllerManagerFlags,
  etcdFlags,
  etcdUrl,
  type Ports,
  schedulerFlags,
} from './control-plane-flags.ts';
import { type Credentials, writeCredentials } from './credentials.ts';
import { freePorts } from './free-ports.ts';
import { Program } from './program.ts';
import type { Programs } from './programs.ts';

/** On a busy machine; on an idle one all of it takes 10 s. */
const READY_LIMIT_MS = 120_000;

export interface ControlPlaneOptions {
  programs: Programs;
  /** For its data and credentials. */
  dir: string;
  logDir: string;
  /** More flags of the API server. */
  apiServerFlags?: readonly string[];
  /** The API server listens on 127.0.0.1 and answers also to these addresses. */
  apiAddresses?: readonly string[];
}

export class ControlPlane {
  readonly url: string;
  readonly api: ApiClient;
  readonly credentials: Credentials;
  readonly programs: Programs;
  readonly #options: ControlPlaneOptions;
  readonly #ports: Ports;
  #etcd: Program | undefined;
  #apiServer: Program | undefined;
  #others: Program[] = [];
  #logMark = 0;

  private constructor(options: ControlPlaneOptions, ports: Ports, credentials: Credentials) {
    this.#options = options;
    this.#ports = ports;
    this.programs = options.programs;
    this.credentials = credentials;
    this.url = apiUrl(ports);
    this.api = new ApiClient(this.url, credentials.ca.cert, credentials.tokens.admin);
  }

  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    mkdirSync(options.logDir, { recursive: true });
    const [etcd = 0, etcdPeer = 0, api = 0, controllerManager = 0, scheduler = 0] = await freePorts(5);
    const ports: Ports = { etcd, etcdPeer, api, controllerManager, scheduler };
    const credentials = await writeCredentials(
      join(options.dir, 'credentials'),
      apiUrl(ports),
      options.apiAddresses,
    );
    const plane = new ControlPlane(options, ports, credentials);
    try {
      await plane.#startEtcd();
      await plane.startApiServer();
      await plane.#startOthers();
      return plane;
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  /** Whether Deployments become pods here. */
  get hasControllers(): boolean {
    return this.programs.controllerManager !== undefined;
  }

  atLeast(major: number, minor: number): boolean {
    const [haveMajor, haveMinor] = this.programs.version;
    return haveMajor > major || (haveMajor === major && haveMinor >= minor);
  }

  async stop(): Promise<void> {
    this.api.close();
    // Nothing of it is wanted any more, so nobody gets time to say goodbye.
    await Promise.all([...this.#others, this.#apiServer, this.#etcd].map((program) => program?.kill()));
  }

  async startApiServer(): Promise<void> {
    this.#apiServer = this.#program('kube-apiserver', this.programs.apiServer, [
      ...apiServerFlags(this.#ports, this.credentials, this.hasControllers),
      ...(this.#options.apiServerFlags ?? []),
    ]);
    const ready = async (): Promise<boolean> => (await this.api.send('GET', '/readyz')).status === 200;
    await this.#apiServer.until('/readyz says ok', ready, READY_LIMIT_MS);
  }

  /** At once, as when its machine is lost. */
  async killApiServer(): Promise<void> {
    await this.#apiServer?.kill();
  }

  /** What the API server says from now on is what apiServerSaid looks at. */
  markApiServerLog(): void {
    this.#logMark = this.#apiServer?.logText().length ?? 0;
  }

  apiServerSaid(text: string): boolean {
    return this.#apiServer?.logText().slice(this.#logMark).includes(text) ?? false;
  }

  pauseEtcd(): void {
    this.#etcd?.signal('SIGSTOP');
  }

  resumeEtcd(): void {
    this.#etcd?.signal('SIGCONT');
  }

  /** Makes etcd forget all versions of all objects but the newest ones. */
  async compact(): Promise<void> {
    const { header } = await this.#etcdCall<{ header: { revision: string } }>('kv/range', { key: 'AA==' });
    await this.#etcdCall('kv/compaction', { revision: header.revision, physical: true });
  }

  /** A pod is refused until its account exists, and that account's token where accounts have one. */
  async hasDefaultAccount(namespace: string): Promise<boolean> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
    const { secrets = [] } = await this.api.get<{ secrets?: unknown[] }>(path);
    return this.atLeast(1, 24) || secrets.length > 0;
  }

  #program(name: string, command: string, args: readonly string[]): Program {
    return Program.start({ name, command, args, logFile: join(this.#options.logDir, `${name}.log`) });
  }

  async #startEtcd(): Promise<void> {
    this.#etcd = this.#program('etcd', this.programs.etcd, etcdFlags(this.#ports, this.#options.dir));
    const ready = async (): Promise<boolean> => (await fetch(`${etcdUrl(this.#ports)}/health`)).ok;
    await this.#etcd.until('/health says ok', ready, READY_LIMIT_MS);
  }

  async #startOthers(): Promise<void> {
    const { controllerManager, scheduler } = this.programs;
    const context = {
      credentials: this.credentials,
      dir: this.#options.dir,
      isOld: !this.atLeast(1, 24),
    };
    const starts = [
      {
        name: 'kube-controller-manager',
        command: controllerManager,
        args: controllerManagerFlags(this.#ports, context),
        ready: () => this.hasDefaultAccount('default'),
      },
      {
        name: 'kube-scheduler',
        command: scheduler,
        args: schedulerFlags(this.#ports, context),
        ready: () => isHealthy(this.#ports.scheduler),
      },
    ];
    const waits = starts.map(async ({ name, command, args, ready }) => {
      if (command === undefined) return;
      const program = this.#program(name, command, args);
      this.#others.push(program);
      await program.until('it works', ready, READY_LIMIT_MS);
    });
    await Promise.all(waits);
  }

  async #etcdCall<T>(call: string, body: unknown): Promise<T> {
    const response = await fetch(`${etcdUrl(this.#ports)}/v3/${call}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`etcd: ${call}: ${await response.text()}`);
    return (await response.json()) as T;
  }
}

/** Its certificate is one that the program made itself. */
function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      `https://127.0.0.1:${port}/healthz`,
      { rejectUnauthorized: false, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    sent.once('error', reject);
    sent.end();
  });
}
