/** The running webhook: sockets, certificates and the way down. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type AppState, admissionApp, healthApp } from './app.ts';
import { type CertificateFiles, type CertificatePair, readPair, watchPair } from './certificates.ts';
import { createMetrics, type Metrics } from './metrics.ts';

export interface WebhookOptions extends CertificateFiles {
  /** Address to listen on; all of them without it. */
  host?: string;
  /** 0: any free port. */
  port: number;
  healthPort: number;
  certificatePollMs: number;
  /** After SIGTERM: not ready but still serving, until the endpoints of the Service have changed everywhere. */
  lameDuckMs: number;
  /** Then: how long open requests may take before their connections are cut. */
  closeMs: number;
}

export interface Webhook {
  port: number;
  healthPort: number;
  /** Resolves when every connection is closed; a second call waits for the same. */
  drain(): Promise<void>;
}

/** An API server keeps idle connections for 90 s; the side that closes first races with the next request. */
const KEEP_ALIVE_MS = 95_000;
const REQUEST_MS = 10_000;
const CONNECTIONS_MAX = 2000;
const HEALTH_CONNECTIONS_MAX = 100;

/** @returns the running webhook, or why it cannot run, for a person */
export async function startWebhook(options: WebhookOptions, log: Logger): Promise<Webhook | string> {
  const pair = await readPair(options);
  if (typeof pair === 'string') {
    return `no usable certificate: ${pair}`;
  }
  const metrics = createMetrics();
  let notAfter = pair.notAfter;
  let draining: Promise<void> | undefined;
  const state: AppState = {
    log,
    metrics,
    draining: () => draining !== undefined,
    notReady: () => (notAfter.getTime() <= Date.now() ? 'the certificate has expired' : undefined),
  };
  const admission = createHttpsServer({ ...tlsOf(pair), ...TIMEOUTS }, admissionApp(state));
  const health = createHttpServer(TIMEOUTS, healthApp(state));
  admission.maxConnections = CONNECTIONS_MAX;
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

const TIMEOUTS = {
  keepAliveTimeout: KEEP_ALIVE_MS,
  // Counted from the first byte of a request, so a kept connection may idle for longer.
  headersTimeout: REQUEST_MS,
  requestTimeout: REQUEST_MS,
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
