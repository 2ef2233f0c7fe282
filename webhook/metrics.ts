/** What the webhook tells a monitoring system. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from '../slo/version.ts';

export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'scx_slo_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['component', 'version'],
    registers,
  }).set({ component: 'webhook', version: VERSION }, 1);
  const requests = new Counter({
    name: 'scx_slo_webhook_requests_total',
    help: 'Admission requests by decision: patched, unchanged, skipped, refused (no AdmissionReview), failed (a bug: admitted without a patch).',
    labelNames: ['decision'],
    registers,
  });
  for (const decision of ['patched', 'unchanged', 'skipped', 'refused', 'failed']) {
    requests.inc({ decision }, 0);
  }
  return {
    registry,
    requests,
    durationSeconds: new Histogram({
      name: 'scx_slo_webhook_duration_seconds',
      help: 'Time from the first byte of the body parsed to the answer written, admission requests only.',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    }),
    certificateNotAfter: new Gauge({
      name: 'scx_slo_webhook_certificate_expiry_timestamp_seconds',
      help: 'Unix time at which the serving certificate ends.',
      registers,
    }),
    certificateReloads: new Counter({
      name: 'scx_slo_webhook_certificate_reloads_total',
      help: 'Changes of the certificate files, by result: loaded or refused (the old pair stays).',
      labelNames: ['result'],
      registers,
    }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
