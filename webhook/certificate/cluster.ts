/** The two objects that hold the webhook's certificate, read and written through the API server. */
import { type ApiFailure, isApiFailure } from '../../kube/api-failure.ts';
import type { ApiRequest, KubeConnection } from '../../kube/connection.ts';
import { type JsonObject, objectOf, resourceVersionOf, textOf } from '../../kube/json.ts';
import type { ServingPair } from './mint.ts';
import type { CertificateState } from './plan.ts';

export interface ObjectNames {
  namespace: string;
  secret: string;
  configuration: string;
}

export const DEFAULT_NAMES: ObjectNames = {
  namespace: 'scx-slo-system',
  secret: 'scx-slo-webhook-tls',
  configuration: 'scx-slo-webhook',
};

/** All that is asked of the API server; the manifests grant exactly this (a test compares). */
export const API_RIGHTS = [
  { group: '', resource: 'secrets', name: DEFAULT_NAMES.secret, verbs: ['get', 'patch'] },
  {
    group: 'admissionregistration.k8s.io',
    resource: 'mutatingwebhookconfigurations',
    name: DEFAULT_NAMES.configuration,
    verbs: ['get', 'patch'],
  },
] as const;

export interface ClusterState extends CertificateState {
  secretVersion: string;
  configurationVersion: string;
  webhookNames: readonly string[];
}

export type Api = Pick<KubeConnection, 'json'>;

const secretPath = ({ namespace, secret }: ObjectNames): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(secret)}`;

const configurationPath = ({ configuration }: ObjectNames): string =>
  `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${encodeURIComponent(configuration)}`;

const fromBase64 = (value: unknown): string => Buffer.from(textOf(value) ?? '', 'base64').toString('utf8');
const toBase64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

export async function readState(api: Api, names: ObjectNames): Promise<ClusterState | ApiFailure> {
  const secret = await api.json({ path: secretPath(names) });
  if (isApiFailure(secret)) {
    return secret;
  }
  const configuration = await api.json({ path: configurationPath(names) });
  if (isApiFailure(configuration)) {
    return configuration;
  }
  const data = objectOf(secret.data) ?? {};
  const entries: unknown[] = Array.isArray(configuration.webhooks) ? configuration.webhooks : [];
  const webhooks = entries.map(objectOf).filter((entry) => entry !== undefined);
  return {
    secret: {
      cert: fromBase64(data['tls.crt']),
      key: fromBase64(data['tls.key']),
      ca: fromBase64(data['ca.crt']),
    },
    bundles: webhooks.map((webhook) => fromBase64(objectOf(webhook.clientConfig)?.caBundle)),
    webhookNames: webhooks.map((webhook) => textOf(webhook.name) ?? ''),
    secretVersion: resourceVersionOf(secret),
    configurationVersion: resourceVersionOf(configuration),
  };
}

/** Fails with 409 where somebody changed it since it was read. @returns its new version */
export function writeBundle(
  api: Api,
  names: ObjectNames,
  state: ClusterState,
  bundle: string,
): Promise<string | ApiFailure> {
  return patch(api, configurationPath(names), 'application/strategic-merge-patch+json', {
    metadata: { resourceVersion: state.configurationVersion },
    // Merged by name: nothing else of the webhooks is touched.
    webhooks: state.webhookNames.map((name) => ({ name, clientConfig: { caBundle: toBase64(bundle) } })),
  });
}

/** Fails with 409 where somebody changed it since it was read. @returns its new version */
export function writeSecret(
  api: Api,
  names: ObjectNames,
  state: ClusterState,
  pair: ServingPair,
): Promise<string | ApiFailure> {
  return patch(api, secretPath(names), 'application/merge-patch+json', {
    metadata: { resourceVersion: state.secretVersion },
    data: { 'tls.crt': toBase64(pair.cert), 'tls.key': toBase64(pair.key), 'ca.crt': toBase64(pair.ca) },
  });
}

async function patch(
  api: Api,
  path: string,
  contentType: NonNullable<ApiRequest['contentType']>,
  body: JsonObject,
): Promise<string | ApiFailure> {
  const query = { fieldManager: 'scx-slo-webhook-certificate' };
  const answer = await api.json({ method: 'PATCH', path, contentType, body, query });
  return isApiFailure(answer) ? answer : resourceVersionOf(answer);
}
