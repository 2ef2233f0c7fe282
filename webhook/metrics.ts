/** What the webhook tells a monitoring system. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from '../slo/version.ts';
import { NAMESPACE_CACHE_STATES, type NamespaceView } from './namespace-view.ts';

/** What is asked when a monitoring system asks. */
export interface Gauges {
  namespaces: NamespaceView;
  connections(): number;
}

export function createMetrics({ namespaces, connections }: Gauges) {
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
  new Gauge({
    name: 'scx_slo_webhook_namespace_cache',
    help: "1 for the state of the cache of namespaces' caps: off, unsynced, synced or stale. In all but synced the built-in caps hold.",
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of NAMESPACE_CACHE_STATES) {
        this.set({ state }, state === namespaces.state() ? 1 : 0);
      }
    },
  });
  new Gauge({
    name: 'scx_slo_webhook_namespaces',
    help: 'Namespaces in the cache.',
    registers,
    collect() {
      this.set(namespaces.size());
    },
  });
  new Gauge({
    name: 'scx_slo_webhook_connections',
    help: 'Open connections of API servers.',
    registers,
    collect() {
      this.set(connections());
    },
  });
  const connectionsClosed = new Counter({
    name: 'scx_slo_webhook_connections_closed_total',
    help: 'Connections that the webhook closed early: slow (a request took too long) or crowded (made room for another).',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of ['slow', 'crowded']) {
    connectionsClosed.inc({ reason }, 0);
  }
  return {
    registry,
    connectionsClosed,
    warnings: new Counter({
      name: 'scx_slo_webhook_warnings_total',
      help: 'Warnings given to those who applied a pod: bad values, cuts by caps, sidecars that cannot be.',
      registers,
    }),
    requests,
    durationSeconds: new Histogram({
      name: 'scx_slo_webhook_duration_seconds',
      help: 'Time from the head of the request to the answer written, the wait for its body included; admission requests only.',
      buckets: [0.00025, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
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
