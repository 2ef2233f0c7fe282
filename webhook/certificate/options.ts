import { parseArgs } from 'node:util';
import { DEFAULT_NAMES, type ObjectNames } from './cluster.ts';

export const CERTIFICATE_USAGE = `usage: scx-slo webhook-certificate [options]

Makes the webhook's certificate and the authority that signed it, and has API servers trust it. Does nothing while the
certificate is good; for clusters without cert-manager. Run it at installation and once a day.

  --namespace NAME        of the Secret and the Service (default ${DEFAULT_NAMES.namespace})
  --secret NAME           which must exist; gets tls.crt, tls.key and ca.crt (default ${DEFAULT_NAMES.secret})
  --configuration NAME    MutatingWebhookConfiguration whose caBundle is kept (default ${DEFAULT_NAMES.configuration})
  --service NAME          the certificate is for NAME.NAMESPACE.svc (default scx-slo-webhook)
  --valid-days N          of a new certificate, 2 .. 365 (default 90)
  --renew-days N          how long before its end it is renewed, less than --valid-days (default 30)
  --settle-seconds N      between trusting and serving a new one (default 10)
  --kubeconfig FILE       how to reach the API server; default: the pod's service account
  --help
`;

export interface CertificateOptions {
  names: ObjectNames;
  dnsNames: string[];
  validDays: number;
  renewDays: number;
  settleSeconds: number;
  kubeconfig: string | undefined;
}

const VALID_DAYS: readonly [number, number] = [2, 365];
/** RFC 1123, as object names are. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

const OPTIONS = {
  namespace: { type: 'string', default: DEFAULT_NAMES.namespace },
  secret: { type: 'string', default: DEFAULT_NAMES.secret },
  configuration: { type: 'string', default: DEFAULT_NAMES.configuration },
  service: { type: 'string', default: 'scx-slo-webhook' },
  'valid-days': { type: 'string', default: '90' },
  'renew-days': { type: 'string', default: '30' },
  'settle-seconds': { type: 'string', default: '10' },
  kubeconfig: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

/** @returns the options, `help`, or what is wrong with the command line */
export function parseOptions(argv: readonly string[]): CertificateOptions | 'help' | { error: string } {
  let values: Values;
  try {
    ({ values } = parseArgs({ args: [...argv], strict: true, options: OPTIONS }));
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
  return values.help ? 'help' : checked(values);
}

function checked(values: Values): CertificateOptions | { error: string } {
  const { namespace, secret, configuration, service, kubeconfig } = values;
  const badName = Object.entries({ namespace, secret, configuration, service }).find(
    ([, name]) => !NAME.test(name),
  );
  if (badName !== undefined) {
    return { error: `--${badName[0]} takes the name of an object` };
  }
  const [validDays, renewDays, settleSeconds] = [
    wholeNumber(values['valid-days']),
    wholeNumber(values['renew-days']),
    wholeNumber(values['settle-seconds']),
  ];
  if (validDays === undefined || validDays < VALID_DAYS[0] || validDays > VALID_DAYS[1]) {
    return { error: `--valid-days takes ${VALID_DAYS.join(' .. ')}` };
  }
  if (renewDays === undefined || renewDays < 1 || renewDays >= validDays) {
    return { error: '--renew-days takes 1 or more, and less than --valid-days' };
  }
  if (settleSeconds === undefined || settleSeconds > 600) {
    return { error: '--settle-seconds takes 0 .. 600' };
  }
  return {
    names: { namespace, secret, configuration },
    dnsNames: [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`],
    validDays,
    renewDays,
    settleSeconds,
    kubeconfig,
  };
}

const wholeNumber = (text: string): number | undefined =>
  /^[0-9]{1,3}$/.test(text) ? Number(text) : undefined;
