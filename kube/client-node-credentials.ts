/**
 * A kubeconfig, read by @kubernetes/client-node: every way to log in that it knows (certificates, tokens, exec
 * plugins, OIDC). A bundle of its own, because it and what it needs take 30 MB, which a node's agent, that logs in
 * with its service account, never pays (docs/adr/0008).
 */
import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { Access, Credentials, TlsTrust } from './credentials.ts';

const load = (file: string): KubeConfig => {
  const config = new KubeConfig();
  config.loadFromFile(file);
  return config;
};

const accessOf = async (config: KubeConfig): Promise<Access> => {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key, passphrase, servername, rejectUnauthorized, auth } = options;
  const tls = Object.fromEntries(
    Object.entries({ ca, cert, key, passphrase, servername, rejectUnauthorized }).filter(
      ([, value]) => value !== undefined && value !== null,
    ),
  ) as TlsTrust;
  const basic = typeof auth === 'string' ? { Authorization: `Basic ${btoa(auth)}` } : {};
  return { headers: { ...basic, ...(options.headers as Record<string, string> | undefined) }, tls };
};

/** Throws where the file is none, names no cluster, or asks for a proxy. */
export const clientNodeCredentials = (file: string): Credentials => {
  let config: KubeConfig | undefined = load(file);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`${file} has no current context with a cluster`);
  if (cluster.proxyUrl !== undefined && cluster.proxyUrl !== '')
    throw new Error(`${file} asks for the proxy ${cluster.proxyUrl}, which is not supported`);
  return {
    server: cluster.server,
    read: async () => {
      config ??= load(file);
      return await accessOf(config);
    },
    forget: () => {
      config = undefined;
    },
  };
};
