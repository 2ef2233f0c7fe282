/** `scx-slo webhook-certificate`: one look at the certificate, and what follows from it. */
import { pino } from 'pino';
import { isApiFailure } from '../../kube/api-failure.ts';
import { KubeConnection } from '../../kube/connection.ts';
import { type Credentials, inClusterCredentials, kubeconfigCredentials } from '../../kube/credentials.ts';
import { keepCertificate } from './keep.ts';
import { CERTIFICATE_USAGE, type CertificateOptions, parseOptions } from './options.ts';

const DAY_MS = 24 * 3600 * 1000;
/** One hour of it is backdating; kubelet looks at Secrets every minute or so, the webhook every 5 s. */
const RELOAD_MS = 2 * 3600 * 1000;

/** @returns the exit code: 0, 1 where the API server did not let it, 2 for a bad command line */
export async function main(argv: string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options === 'help') {
    process.stdout.write(CERTIFICATE_USAGE);
    return 0;
  }
  if ('error' in options) {
    process.stderr.write(`scx-slo webhook-certificate: ${options.error}\n\n${CERTIFICATE_USAGE}`);
    return 2;
  }
  const log = pino({ base: { component: 'webhook-certificate' } });
  const credentials = await credentialsOf(options);
  if (typeof credentials === 'string') {
    log.fatal(credentials);
    return 1;
  }
  const api = new KubeConnection(credentials, { userAgent: 'scx-slo-webhook-certificate' });
  try {
    const kept = await keepCertificate(api, {
      names: options.names,
      rules: {
        dnsNames: options.dnsNames,
        renewBeforeMs: options.renewDays * DAY_MS,
        reloadMs: RELOAD_MS,
      },
      validDays: options.validDays,
      settleMs: options.settleSeconds * 1000,
      log,
    });
    if (isApiFailure(kept)) {
      log.fatal({ failure: kept }, `the API server did not let it: ${kept.message}`);
      return 1;
    }
    log.info({ result: kept }, 'done');
    return 0;
  } finally {
    api.close();
  }
}

async function credentialsOf({ kubeconfig }: CertificateOptions): Promise<Credentials | string> {
  try {
    const found =
      kubeconfig === undefined ? inClusterCredentials(process.env) : await kubeconfigCredentials(kubeconfig);
    return found ?? 'not in a cluster: KUBERNETES_SERVICE_HOST is not set; name a --kubeconfig';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2));
}
