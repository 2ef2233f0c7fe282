/** The manifests, on the cluster that all suites share. */
import { join } from 'node:path';
import type { KubeObject } from './api-client.ts';
import type { Cluster } from './cluster.ts';
import type { KubectlResult } from './kubectl.ts';

const CONFIGURATION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/scx-slo-webhook';
const MANIFESTS = join(import.meta.dirname, '..', '..', 'manifests', 'overlays', 'no-cert-manager');
const FOR_OLD_SERVERS = join(import.meta.dirname, 'overlay');

/** What `kubectl apply -k` gets: without what a server of 1.20 does not know. */
export const manifestsFor = ({ plane }: Cluster): string =>
  plane.atLeast(1, 30) ? MANIFESTS : FOR_OLD_SERVERS;

let installing: Promise<KubectlResult> | undefined;

/** Once, whoever asks. @returns what kubectl said */
export async function install(cluster: Cluster): Promise<KubectlResult> {
  installing ??= cluster.kubectl(['apply', '-k', manifestsFor(cluster)]);
  const result = await installing;
  if (result.code !== 0) throw new Error(result.stderr.join('\n'));
  return result;
}

/** What cert-manager or our own job does: API servers trust this authority (PEM) for the webhook. */
export async function trustAuthority({ plane }: Cluster, ca: string): Promise<KubeObject> {
  const path = '/webhooks/0/clientConfig/caBundle';
  const patch = [{ op: 'add', path, value: Buffer.from(ca).toString('base64') }];
  return await plane.api.patch(CONFIGURATION, patch, 'json-patch');
}

/** Name by which the API server knows the webhook. */
export const WEBHOOK_DNS_NAME = 'scx-slo-webhook.scx-slo-system.svc';
/** Of its Service. Its address is this machine's own in the run's network, so who listens on that port is the webhook. */
export const WEBHOOK_SERVICE_PORT = 443;
