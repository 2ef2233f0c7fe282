/** Every metric of the webhook beside those of its process, once. docs/metrics.md is generated from it. */
import type { MetricSpec } from '../slo/metric-spec.ts';

export const WEBHOOK_METRICS = {
  buildInfo: {
    name: 'scx_slo_build_info',
    type: 'gauge',
    labels: ['component', 'version'],
    help: 'Always 1; the labels say what runs.',
  },
  requests: {
    name: 'scx_slo_webhook_requests_total',
    type: 'counter',
    labels: ['decision'],
    help: 'Admission requests by decision: patched, unchanged, skipped, refused (no AdmissionReview), failed (a bug: admitted without a patch).',
  },
  namespaceCache: {
    name: 'scx_slo_webhook_namespace_cache',
    type: 'gauge',
    labels: ['state'],
    help: "1 for the state of the cache of namespaces' caps: off, unsynced, synced or stale. In all but synced the built-in caps hold.",
  },
  namespaces: {
    name: 'scx_slo_webhook_namespaces',
    type: 'gauge',
    labels: [],
    help: 'Namespaces in the cache.',
  },
  connections: {
    name: 'scx_slo_webhook_connections',
    type: 'gauge',
    labels: [],
    help: 'Open connections of API servers.',
  },
  connectionsClosed: {
    name: 'scx_slo_webhook_connections_closed_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Connections that the webhook closed early: slow (a request took too long) or crowded (made room for another).',
  },
  warnings: {
    name: 'scx_slo_webhook_warnings_total',
    type: 'counter',
    labels: [],
    help: 'Warnings given to those who applied a pod: bad values, cuts by caps, sidecars that cannot be.',
  },
  duration: {
    name: 'scx_slo_webhook_duration_seconds',
    type: 'histogram',
    labels: [],
    help: 'Time from the head of the request to the answer written, the wait for its body included; admission requests only.',
  },
  certificateNotAfter: {
    name: 'scx_slo_webhook_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    labels: [],
    help: 'Unix time at which the serving certificate ends.',
  },
  certificateReloads: {
    name: 'scx_slo_webhook_certificate_reloads_total',
    type: 'counter',
    labels: ['result'],
    help: 'Changes of the certificate files, by result: loaded or refused (the old pair stays).',
  },
} as const satisfies Record<string, MetricSpec>;
