/** A service account as a pod has it: a directory with token and authority, and the token is replaced now and then. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ControlPlane } from './control-plane.ts';

export const SYSTEM_NAMESPACE = 'scx-slo-system';
const TOKEN_SECONDS = 3600;

const inNamespace = `/api/v1/namespaces/${SYSTEM_NAMESPACE}`;

export class PodAccount {
  readonly #plane: ControlPlane;
  readonly #name: string;
  readonly #dir: string;
  #boundTo: string | undefined;

  private constructor(plane: ControlPlane, name: string, dir: string) {
    mkdirSync(dir, { recursive: true });
    this.#plane = plane;
    this.#name = name;
    this.#dir = dir;
    writeFileSync(join(dir, 'ca.crt'), plane.credentials.ca.cert);
    writeFileSync(join(dir, 'namespace'), SYSTEM_NAMESPACE);
  }

  /** Its namespace, account and rights must be there. `dir`: of its own. */
  static async create(plane: ControlPlane, name: string, dir: string): Promise<PodAccount> {
    const account = new PodAccount(plane, name, dir);
    await account.rotateToken();
    return account;
  }

  /** Puts a new token into the file, as kubelet does, and makes the server refuse the one before. */
  async rotateToken(): Promise<void> {
    const { api } = this.#plane;
    // A token that is bound to an object is valid as long as that object.
    const { metadata } = await api.create(`${inNamespace}/secrets`, {
      metadata: { generateName: `${this.#name}-token-` },
    });
    const { status } = await api.create(`${inNamespace}/serviceaccounts/${this.#name}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        expirationSeconds: TOKEN_SECONDS,
        boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: metadata.name, uid: metadata.uid },
      },
    });
    writeFileSync(join(this.#dir, 'token'), (status as { token: string }).token, { mode: 0o600 });
    if (this.#boundTo !== undefined) await api.remove(`${inNamespace}/secrets/${this.#boundTo}`);
    this.#boundTo = metadata.name;
  }

  /** The command that runs a program as in a pod of this account: it sees the directory, and the server's address. */
  inPod(command: readonly string[]): { command: string; args: string[]; env: NodeJS.ProcessEnv } {
    const { hostname, port } = new URL(this.#plane.url);
    // A mount namespace of its own: /run is empty but for the account.
    const enter = `mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && ln -s "$0" ${MOUNT} && exec "$@"`;
    return {
      command: 'unshare',
      args: ['--mount', 'sh', '-c', enter, resolve(this.#dir), ...command],
      env: { ...process.env, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
    };
  }
}

const MOUNT = '/run/secrets/kubernetes.io/serviceaccount';
