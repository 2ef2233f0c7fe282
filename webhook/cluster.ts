/** What the webhook takes from the cluster that it serves: the namespaces, and which kind of sidecar it knows. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isApiFailure } from '../kube/api-failure.ts';
import { KubeConnection } from '../kube/connection.ts';
import { type Credentials, inClusterCredentials, kubeconfigCredentials } from '../kube/credentials.ts';
import { type AdmissionPolicy, EXCLUDED_NAMESPACES } from './mutate.ts';
import { NamespaceCache } from './namespace-cache.ts';
import { NO_NAMESPACES } from './namespace-view.ts';
import type { ClusterSettings } from './options.ts';
import type { SidecarPolicy } from './sidecar.ts';

export interface Cluster {
  policy: AdmissionPolicy;
  stop(): Promise<void>;
}

const VERSION_RETRY_MS = 10_000;

/** Sidecars that are init containers are on by default from 1.29 on (KEP-753). */
const NATIVE_SIDECARS_MINOR = 29;

/** Waits for nothing: until the cluster has answered, the built-in caps hold. @returns or why it cannot be, for a person */
export async function joinCluster(settings: ClusterSettings, log: Logger): Promise<Cluster | string> {
  const credentials = settings.namespaces === 'off' ? undefined : await credentialsOf(settings);
  if (typeof credentials === 'string') {
    return credentials;
  }
  if (credentials === undefined) {
    return { policy: policyOf(settings, NO_NAMESPACES, () => 'container'), stop: async () => {} };
  }
  const connection = new KubeConnection(credentials, { userAgent: 'scx-slo-webhook' });
  const namespaces = new NamespaceCache({ connection, log });
  void namespaces.start();
  const ending = new AbortController();
  let kind: SidecarPolicy['kind'] = 'container';
  if (settings.sidecarImage !== undefined && settings.sidecarKind === 'auto') {
    void sidecarKindOf(connection, ending.signal).then((known) => {
      kind = known;
    });
  }
  return {
    policy: policyOf(settings, namespaces, () => kind),
    stop: async () => {
      ending.abort();
      await namespaces.stop();
      connection.close();
    },
  };
}

async function credentialsOf({ kubeconfig }: ClusterSettings): Promise<Credentials | string> {
  try {
    const credentials =
      kubeconfig === undefined ? inClusterCredentials(process.env) : await kubeconfigCredentials(kubeconfig);
    return credentials ?? 'not inside a cluster: --kubeconfig FILE or --namespaces off is needed';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function policyOf(
  { ownNamespace, endpointUrl, sidecarImage, sidecarKind }: ClusterSettings,
  namespaces: AdmissionPolicy['namespaces'],
  detected: () => SidecarPolicy['kind'],
): AdmissionPolicy {
  return {
    namespaces,
    excludedNamespaces: new Set([...EXCLUDED_NAMESPACES, ownNamespace]),
    endpointUrl,
    get sidecar() {
      const kind = sidecarKind === 'auto' ? detected() : sidecarKind;
      return sidecarImage === undefined ? undefined : { image: sidecarImage, kind };
    },
  };
}

/** Asks until the server says its version. */
async function sidecarKindOf(
  connection: KubeConnection,
  signal: AbortSignal,
): Promise<SidecarPolicy['kind']> {
  while (!signal.aborted) {
    const version = await connection.json({ path: '/version', signal });
    if (!isApiFailure(version)) {
      return hasNativeSidecars(version) ? 'native' : 'container';
    }
    await sleep(VERSION_RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
  return 'container';
}

/** @param version `{"major": "1", "minor": "29+"}`, of GET /version */
export function hasNativeSidecars({ major, minor }: Readonly<Record<string, unknown>>): boolean {
  const number = (text: unknown): number => Number.parseInt(String(text), 10);
  return number(major) > 1 || (number(major) === 1 && number(minor) >= NATIVE_SIDECARS_MINOR);
}
