import { parseArgs } from 'node:util';
import { ENDPOINT_URL } from './endpoint.ts';
import { OWN_NAMESPACE } from './mutate.ts';
import type { WebhookOptions } from './server.ts';
import type { SidecarPolicy } from './sidecar.ts';

export const WEBHOOK_USAGE = `usage: scx-slo webhook --cert FILE --key FILE [options]

  --cert FILE           PEM certificate (chain) of the server
  --key FILE            PEM private key; both are read again when they change
  --host ADDRESS        address to listen on (default: all)
  --port N              POST /mutate over TLS 1.3 (default 10250)
  --health-port N       /healthz, /readyz and /metrics over plain HTTP (default 9091)
  --certificate-poll SECONDS  how often both files are read (default 5)
  --lame-duck SECONDS   after SIGTERM: not ready but serving (default 5)
  --namespaces WHICH    where caps and defaults of namespaces come from: watch, or off (the built-in caps hold).
                        Default: watch inside a cluster or with --kubeconfig, else off
  --kubeconfig FILE     how to reach the API server; default: the pod's service account
  --own-namespace NAME  left alone, like the system's (default: POD_NAMESPACE, else scx-slo-system)
  --endpoint URL        value of SCX_SLO_ENDPOINT (default ${ENDPOINT_URL})
  --sidecar-image IMAGE of the shed sidecar (default: SCX_SLO_SIDECAR_IMAGE; without one none is injected)
  --sidecar-kind KIND   native, container (for API servers before 1.29), or auto: as the API server's version says
                        (default auto; container where no API server is known)
  --help
`;

export interface ClusterSettings {
  namespaces: 'watch' | 'off';
  kubeconfig: string | undefined;
  ownNamespace: string;
  endpointUrl: string;
  sidecarImage: string | undefined;
  sidecarKind: SidecarPolicy['kind'] | 'auto';
}

export type WebhookSettings = WebhookOptions & ClusterSettings;

type Environment = Readonly<Record<string, string | undefined>>;

const OPTIONS = {
  cert: { type: 'string' },
  key: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string', default: '10250' },
  'health-port': { type: 'string', default: '9091' },
  'certificate-poll': { type: 'string', default: '5' },
  'lame-duck': { type: 'string', default: '5' },
  namespaces: { type: 'string' },
  kubeconfig: { type: 'string' },
  'own-namespace': { type: 'string' },
  endpoint: { type: 'string', default: ENDPOINT_URL },
  'sidecar-image': { type: 'string' },
  'sidecar-kind': { type: 'string', default: 'auto' },
  help: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

/** @returns the options, `help`, or what is wrong with the command line */
export function parseOptions(
  argv: readonly string[],
  env: Environment = process.env,
): WebhookSettings | 'help' | { error: string } {
  let values: Values;
  try {
    ({ values } = parseArgs({ args: [...argv], strict: true, options: OPTIONS }));
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
  return values.help ? 'help' : settingsOf(values, env);
}

function settingsOf(values: Values, env: Environment): WebhookSettings | { error: string } {
  const { cert, key, host } = values;
  const port = wholeNumber(values.port, 65_535);
  const healthPort = wholeNumber(values['health-port'], 65_535);
  const lameDuck = wholeNumber(values['lame-duck'], 600);
  const certificatePoll = wholeNumber(values['certificate-poll'], 600) || undefined;
  if (cert === undefined || key === undefined) {
    return { error: '--cert FILE and --key FILE are needed' };
  }
  if (port === undefined || healthPort === undefined) {
    return { error: '--port and --health-port take 0 .. 65535' };
  }
  if (lameDuck === undefined || certificatePoll === undefined) {
    return { error: '--lame-duck takes 0 .. 600, --certificate-poll 1 .. 600' };
  }
  const cluster = clusterSettingsOf(values, env);
  if ('error' in cluster) {
    return cluster;
  }
  return {
    certFile: cert,
    keyFile: key,
    ...(host === undefined ? {} : { host }),
    port,
    healthPort,
    lameDuckMs: lameDuck * 1000,
    certificatePollMs: certificatePoll * 1000,
    ...FIXED,
    ...cluster,
  };
}

const FIXED = {
  namespaceGraceMs: 10_000,
  requestMs: 10_000,
  connectionsMax: 2000,
  closeMs: 10_000,
};

function clusterSettingsOf(values: Values, env: Environment): ClusterSettings | { error: string } {
  const { kubeconfig } = values;
  const isReachable = (env.KUBERNETES_SERVICE_HOST ?? '') !== '' || kubeconfig !== undefined;
  const namespaces = oneOf(values.namespaces ?? (isReachable ? 'watch' : 'off'), ['watch', 'off']);
  const sidecarKind = oneOf(values['sidecar-kind'], ['auto', 'native', 'container']);
  if (namespaces === undefined || sidecarKind === undefined) {
    return { error: '--namespaces takes watch or off, --sidecar-kind takes auto, native or container' };
  }
  if (!URL.canParse(values.endpoint)) {
    return { error: '--endpoint takes a URL' };
  }
  return {
    namespaces,
    kubeconfig,
    ownNamespace: values['own-namespace'] ?? (env.POD_NAMESPACE || OWN_NAMESPACE),
    endpointUrl: values.endpoint,
    sidecarImage: values['sidecar-image'] ?? (env.SCX_SLO_SIDECAR_IMAGE || undefined),
    sidecarKind,
  };
}

function wholeNumber(text: string, max: number): number | undefined {
  const number = /^[0-9]{1,5}$/.test(text) ? Number(text) : undefined;
  return number !== undefined && number <= max ? number : undefined;
}

function oneOf<const T extends string>(text: string, known: readonly T[]): T | undefined {
  return known.find((word) => word === text);
}
