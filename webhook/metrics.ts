/** What the webhook tells a monitoring system. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from '../slo/version.ts';
import { WEBHOOK_METRICS } from './metric-catalog.ts';
import { NAMESPACE_CACHE_STATES, type NamespaceView } from './namespace-view.ts';

/** What is asked when a monitoring system asks. */
export interface Gauges {
  namespaces: NamespaceView;
  connections(): number;
}

const configOf = <const L extends string>({
  name,
  help,
  labels,
}: {
  name: string;
  help: string;
  labels: readonly L[];
}) => ({ name, help, labelNames: labels });

export function createMetrics({ namespaces, connections }: Gauges) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    ...configOf(WEBHOOK_METRICS.buildInfo),
    registers,
  }).set({ component: 'webhook', version: VERSION }, 1);
  const requests = new Counter({
    ...configOf(WEBHOOK_METRICS.requests),
    registers,
  });
  for (const decision of ['patched', 'unchanged', 'skipped', 'refused', 'failed']) {
    requests.inc({ decision }, 0);
  }
  new Gauge({
    ...configOf(WEBHOOK_METRICS.namespaceCache),
    registers,
    collect() {
      for (const state of NAMESPACE_CACHE_STATES) {
        this.set({ state }, state === namespaces.state() ? 1 : 0);
      }
    },
  });
  new Gauge({
    ...configOf(WEBHOOK_METRICS.namespaces),
    registers,
    collect() {
      this.set(namespaces.size());
    },
  });
  new Gauge({
    ...configOf(WEBHOOK_METRICS.connections),
    registers,
    collect() {
      this.set(connections());
    },
  });
  const connectionsClosed = new Counter({
    ...configOf(WEBHOOK_METRICS.connectionsClosed),
    registers,
  });
  for (const reason of ['slow', 'crowded']) {
    connectionsClosed.inc({ reason }, 0);
  }
  return {
    registry,
    connectionsClosed,
    warnings: new Counter({
      ...configOf(WEBHOOK_METRICS.warnings),
      registers,
    }),
    requests,
    durationSeconds: new Histogram({
      ...configOf(WEBHOOK_METRICS.duration),
      buckets: [0.00025, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    }),
    certificateNotAfter: new Gauge({
      ...configOf(WEBHOOK_METRICS.certificateNotAfter),
      registers,
    }),
    certificateReloads: new Counter({
      ...configOf(WEBHOOK_METRICS.certificateReloads),
      registers,
    }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
