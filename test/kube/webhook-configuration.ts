/** The webhook as the API server knows it. */
import type { ApiClient } from './api-client.ts';

const PATH = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const NAME = 'scx-slo';

export const TIMEOUT_SECONDS = 2;

export interface WebhookPlace {
  url: string;
  /** PEM. */
  ca: string;
}

/** Puts it in place of what was there. It holds some moments later. */
export async function registerWebhook(api: ApiClient, place: WebhookPlace): Promise<void> {
  const webhook = {
    name: 'pods.scx-slo.io',
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Ignore',
    reinvocationPolicy: 'IfNeeded',
    timeoutSeconds: TIMEOUT_SECONDS,
    clientConfig: { url: place.url, caBundle: Buffer.from(place.ca).toString('base64') },
    rules: [
      {
        apiGroups: [''],
        apiVersions: ['v1'],
        operations: ['CREATE', 'UPDATE'],
        resources: ['pods'],
        scope: 'Namespaced',
      },
    ],
    namespaceSelector: {
      matchExpressions: [{ key: 'scx-slo.io/webhook', operator: 'NotIn', values: ['disabled'] }],
    },
  };
  const object = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: NAME },
    webhooks: [webhook],
  };
  await api.ok(
    'PATCH',
    `${PATH}/${NAME}?fieldManager=test&force=true`,
    object,
    'application/apply-patch+yaml',
  );
}

export const removeWebhook = (api: ApiClient): Promise<void> => api.remove(`${PATH}/${NAME}`);
