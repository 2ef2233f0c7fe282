/** Two replicas behind a Service, their certificates, and what an operator does to them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ca, createCa, issue } from '../fakes/certificates.ts';
import { SecretVolume } from '../fakes/secret-volume.ts';
import { SERVER_NAME } from './api-server.ts';
import { Replica, type ReplicaOptions } from './replica.ts';
import { Service, type ServiceOptions } from './service.ts';

export type DeploymentOptions = Omit<ReplicaOptions, 'certFile' | 'keyFile'> & ServiceOptions;

const REPLICAS = 2;

export class Deployment {
  readonly service: Service;
  readonly #options: DeploymentOptions;
  readonly #secret: SecretVolume;
  /** Oldest first. */
  #authorities: Ca[];
  #rotations = 0;

  private constructor(options: DeploymentOptions, authority: Ca, secret: SecretVolume) {
    this.#options = options;
    this.#authorities = [authority];
    this.#secret = secret;
    this.service = new Service(options);
  }

  /** Resolves when all replicas are ready. */
  static async start(options: DeploymentOptions): Promise<Deployment> {
    const authority = await createCa('webhook CA 0');
    const pair = await issue(authority, { dnsNames: [SERVER_NAME] });
    const deployment = new Deployment(options, authority, new SecretVolume(pair));
    await Promise.all(Array.from({ length: REPLICAS }, () => deployment.#startReplica()));
    return deployment;
  }

  /** PEM of what an API server trusts: during a rotation the old and the new authority. */
  caBundle(): string {
    return this.#authorities.map(({ cert }) => cert).join('\n');
  }

  /** A new authority: first trusted beside the old one, then its certificate served, then the old one is forgotten. */
  async rotate(): Promise<void> {
    const { replicas } = this.service;
    const before = await Promise.all(replicas.map(reloadsOf));
    // Another name: without key identifiers, two authorities of one name cannot be told apart.
    this.#rotations += 1;
    const authority = await createCa(`webhook CA ${this.#rotations}`);
    this.#authorities.push(authority);
    this.#secret.swap(await issue(authority, { dnsNames: [SERVER_NAME] }));
    await Promise.all(
      replicas.map(async (replica, index) => {
        while ((await reloadsOf(replica)) === before[index]) await sleep(100);
      }),
    );
    this.#authorities = [authority];
  }

  /** One after the other, each new one ready before an old one goes. @returns their exit codes */
  async restart(): Promise<(number | null)[]> {
    const codes: (number | null)[] = [];
    for (const old of this.service.replicas) {
      await this.#startReplica();
      codes.push(await old.terminate());
      this.service.remove(old);
    }
    return codes;
  }

  async stop(): Promise<void> {
    const { replicas } = this.service;
    this.service.stop();
    await Promise.all(replicas.map((replica) => replica.terminate()));
    this.#secret.remove();
  }

  async #startReplica(): Promise<void> {
    const { certFile, keyFile } = this.#secret;
    const replica = await Replica.start({ ...this.#options, certFile, keyFile });
    this.service.add(replica);
    await this.service.untilReady(replica);
  }
}

async function reloadsOf(replica: Replica): Promise<number> {
  const text = await replica.metrics();
  return Number(/reloads_total\{result="loaded"\} (\d+)/.exec(text)?.[1] ?? 0);
}
