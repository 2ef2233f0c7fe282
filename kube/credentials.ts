/** Who we are to the API server, and how we know that it is the API server. */
import { readFile } from 'node:fs/promises';

export interface TlsTrust {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  passphrase?: string;
  servername?: string;
  rejectUnauthorized?: boolean;
}

export interface Access {
  /** Authorization, Impersonate-User. */
  headers: Record<string, string>;
  tls: TlsTrust;
}

export interface Credentials {
  /** `https://host:port`, maybe with a path. */
  readonly server: string;
  /** Asked for each request, so that rotated tokens and authorities count at once. Throws where one cannot be read. */
  read(): Promise<Access>;
  /** The server refused them (401): what is cached is not to be used again. */
  forget(): void;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/**
 * Those of the pod's service account. The token file is read for each request: it is a page of memory, requests are
 * few, and kubelet replaces it before it expires.
 *
 * @returns undefined outside a cluster
 */
export const inClusterCredentials = (
  env: Readonly<Record<string, string | undefined>>,
  directory = SERVICE_ACCOUNT,
): Credentials | undefined => {
  const host = env.KUBERNETES_SERVICE_HOST;
  const port = env.KUBERNETES_SERVICE_PORT;
  if (host === undefined || host === '' || port === undefined || port === '') return undefined;
  return {
    server: `https://${bracketed(host)}:${port}`,
    read: async () => {
      const [token, ca] = await Promise.all([
        readFile(`${directory}/token`, 'utf8'),
        readFile(`${directory}/ca.crt`, 'utf8'),
      ]);
      return { headers: { Authorization: `Bearer ${token.trim()}` }, tls: { ca } };
    },
    forget: () => {},
  };
};

/** Those of a kubeconfig, without loading what reads one before it is needed. Throws where it cannot be read. */
export const kubeconfigCredentials = async (file: string): Promise<Credentials> => {
  const { clientNodeCredentials } = await import('./client-node-credentials.ts');
  return clientNodeCredentials(file);
};
