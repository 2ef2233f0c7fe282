/** The running webhook: sockets, certificates and the way down. */
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type AppState, admissionApp, healthApp } from './app.ts';
import { type CertificateFiles, type CertificatePair, readPair, watchPair } from './certificates.ts';
import { Connections } from './connections.ts';
import { createHttpServer, createHttpsServer } from './lean-http.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { type AdmissionPolicy, mutate } from './mutate.ts';
import { readiness } from './readiness.ts';

export interface WebhookOptions extends CertificateFiles {
  /** Address to listen on; all of them without it. */
  host?: string;
  /** 0: any free port. */
  port: number;
  healthPort: number;
  certificatePollMs: number;
  /** A new replica waits so long for its first list of namespaces before it is ready without. */
  namespaceGraceMs: number;
  /** From the first byte of a request to its answer; slower connections are closed. */
  requestMs: number;
  /** After SIGTERM: not ready but still serving, until the endpoints of the Service have changed everywhere. */
  lameDuckMs: number;
  /** Then: how long open requests may take before their connections are cut. */
  closeMs: number;
  /** Open connections to /mutate; the one that was idle for longest makes room for another. */
  connectionsMax: number;
}

export interface Webhook {
  port: number;
  healthPort: number;
  /** Resolves when every connection is closed; a second call waits for the same. */
  drain(): Promise<void>;
}

/** An API server keeps idle connections for 90 s; the side that closes first races with the next request. */
const KEEP_ALIVE_MS = 95_000;
const HEALTH_CONNECTIONS_MAX = 100;
const HEALTH_REQUEST_MS = 10_000;
const HANDSHAKE_MS = 5000;
/** An API server sends no cookies and no tokens: its heads are some hundred bytes. */
const HEAD_MAX_BYTES = 8192;

/** @returns the running webhook, or why it cannot run, for a person */
export async function startWebhook(
  options: WebhookOptions,
  policy: AdmissionPolicy,
  log: Logger,
): Promise<Webhook | string> {
  const pair = await readPair(options);
  if (typeof pair === 'string') {
    return `no usable certificate: ${pair}`;
  }
  const connections = new Connections(
    { max: options.connectionsMax, requestMs: options.requestMs },
    (reason) => metrics.connectionsClosed.inc({ reason }),
  );
  const metrics = createMetrics({ namespaces: policy.namespaces, connections: () => connections.size });
  let notAfter = pair.notAfter;
  let draining: Promise<void> | undefined;
  const state: AppState = {
    log,
    metrics,
    decide: (request) => mutate(request, policy),
    draining: () => draining !== undefined,
    ...readiness({
      notAfter: () => notAfter,
      namespaces: policy.namespaces,
      graceMs: options.namespaceGraceMs,
    }),
  };
  const admission = createHttpsServer({ ...tlsOf(pair), ...ADMISSION_LIMITS }, admissionApp(state));
  const health = createHttpServer(HEALTH_LIMITS, healthApp(state));
  connections.watch(admission);
  // Handshakes that have not ended are not among those that it counts.
  admission.maxConnections = 2 * options.connectionsMax;
  health.maxConnections = HEALTH_CONNECTIONS_MAX;
  // A client that breaks the handshake is its own trouble, not a line in our log for each try.
  admission.on('tlsClientError', (_error, socket) => socket.destroy());
  metrics.certificateNotAfter.set(notAfter.getTime() / 1000);

  for (const [server, port] of [
    [admission, options.port],
    [health, options.healthPort],
  ] as const) {
    const problem = await listen(server, port, options.host);
    if (problem !== undefined) {
      admission.close();
      health.close();
      return problem;
    }
  }
  const watch = watchCertificates(options, pair, admission, metrics, log, (next) => {
    notAfter = next.notAfter;
  });
  return {
    port: portOf(admission),
    healthPort: portOf(health),
    drain: () => {
      draining ??= shutDown(options, admission, health, log).finally(() => watch.stop());
      return draining;
    },
  };
}

const ADMISSION_LIMITS = {
  keepAliveTimeout: KEEP_ALIVE_MS,
  // Both also count from the opening of a connection that has sent nothing: see connections.ts, which has the real limit.
  headersTimeout: KEEP_ALIVE_MS,
  requestTimeout: KEEP_ALIVE_MS,
  handshakeTimeout: HANDSHAKE_MS,
  maxHeaderSize: HEAD_MAX_BYTES,
};

const HEALTH_LIMITS = {
  headersTimeout: HEALTH_REQUEST_MS,
  requestTimeout: HEALTH_REQUEST_MS,
  connectionsCheckingInterval: HEALTH_REQUEST_MS,
  maxHeaderSize: HEAD_MAX_BYTES,
};

const tlsOf = ({ cert, key }: CertificatePair) => ({ cert, key, minVersion: 'TLSv1.3' as const });

const portOf = (server: HttpServer | HttpsServer): number => (server.address() as AddressInfo).port;

function listen(
  server: HttpServer | HttpsServer,
  port: number,
  host: string | undefined,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(`cannot listen on ${host ?? 'any address'} port ${port}: ${error.code ?? error.message}`),
    );
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      resolve(undefined);
    });
  });
}

function watchCertificates(
  options: WebhookOptions,
  pair: CertificatePair,
  server: HttpsServer,
  metrics: Metrics,
  log: Logger,
  onLoaded: (pair: CertificatePair) => void,
) {
  return watchPair(
    options,
    pair,
    options.certificatePollMs,
    (next) => {
      // Open connections keep the old one until they end.
      server.setSecureContext(tlsOf(next));
      metrics.certificateNotAfter.set(next.notAfter.getTime() / 1000);
      metrics.certificateReloads.inc({ result: 'loaded' });
      log.info({ notAfter: next.notAfter.toISOString() }, 'certificate reloaded');
      onLoaded(next);
    },
    (problem) => {
      metrics.certificateReloads.inc({ result: 'refused' });
      log.error({ problem }, 'certificate not reloaded, the old one stays');
    },
  );
}

async function shutDown(
  options: WebhookOptions,
  admission: HttpsServer,
  health: HttpServer,
  log: Logger,
): Promise<void> {
  log.info({ lameDuckMs: options.lameDuckMs }, 'shutting down');
  await sleep(options.lameDuckMs);
  // What has arrived is read first: a connection with a request in its socket is not idle.
  await nextTurn();
  await close(admission, options.closeMs);
  await close(health, 0);
  log.info('shut down');
}

function close(server: HttpServer | HttpsServer, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    // close() ends idle connections itself; those that become idle later are swept.
    const sweep = setInterval(() => server.closeIdleConnections(), 250);
    const deadline = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(deadline);
      resolve();
    });
  });
}
