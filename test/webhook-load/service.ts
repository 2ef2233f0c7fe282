/**
 * The Service of the webhook as an API server sees it: a new connection goes to any replica that is ready, and a change
 * of readiness arrives late, because it travels by kubelet, API server, endpoint slices and kube-proxy.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Replica } from './replica.ts';

export interface ServiceOptions {
  /** Between two looks at /readyz. */
  probeMs: number;
  /** From a changed answer to the first connection that follows it. */
  propagationMs: number;
}

export class Service {
  readonly #options: ServiceOptions;
  readonly #ready = new Map<Replica, boolean>();

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  /** Takes part when it is ready; is probed until it is removed or the service stops. */
  add(replica: Replica): void {
    this.#ready.set(replica, false);
    void this.#probe(replica);
  }

  remove(replica: Replica): void {
    this.#ready.delete(replica);
  }

  /** Probes nobody any more. */
  stop(): void {
    this.#ready.clear();
  }

  get replicas(): readonly Replica[] {
    return [...this.#ready.keys()];
  }

  isReady(replica: Replica): boolean {
    return this.#ready.get(replica) === true;
  }

  /** @returns the port of a replica that is ready; undefined: none is */
  pick(): number | undefined {
    const ready = this.replicas.filter((replica) => this.isReady(replica));
    return ready[Math.floor(Math.random() * ready.length)]?.port;
  }

  async untilReady(replica: Replica): Promise<void> {
    while (this.#ready.get(replica) === false) await sleep(this.#options.probeMs);
  }

  async #probe(replica: Replica): Promise<void> {
    while (this.#ready.has(replica)) {
      const isReady = await replica.isReady();
      if (isReady !== this.isReady(replica)) {
        await sleep(this.#options.propagationMs);
        if (this.#ready.has(replica)) this.#ready.set(replica, isReady);
      }
      await sleep(this.#options.probeMs);
    }
  }
}
