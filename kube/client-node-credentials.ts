/**
 * A kubeconfig, read by @kubernetes/client-node: every way to log in that it knows (certificates, tokens, exec
 * plugins, OIDC). A bundle of its own, because it and what it needs take 30 MB, which a node's agent, that logs in
 * with its service account, never pays (docs/adr/0008).
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import type { Access, Credentials, TlsTrust } from './credentials.ts';

interface Loaded {
  config: KubeConfig;
  /** The current user's, which client-node 2.0.1 leaves out. */
  tokenFile: string | undefined;
}

interface RawKubeconfig {
  users?: { name?: string; user?: { tokenFile?: string } }[];
}

const load = (file: string): Loaded => {
  const config = new KubeConfig();
  config.loadFromFile(file);
  const name = config.getCurrentUser()?.name;
  const { users = [] } = parse(readFileSync(file, 'utf8')) as RawKubeconfig;
  const tokenFile = users.find((user) => user.name === name)?.user?.tokenFile;
  // relative to the kubeconfig, as kubectl takes it
  return { config, tokenFile: tokenFile === undefined ? undefined : resolve(dirname(file), tokenFile) };
};

const bearer = async (tokenFile: string | undefined): Promise<Record<string, string>> =>
  tokenFile === undefined ? {} : { Authorization: `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}` };

const accessOf = async ({ config, tokenFile }: Loaded): Promise<Access> => {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key, passphrase, servername, rejectUnauthorized, auth } = options;
  const tls = Object.fromEntries(
    Object.entries({ ca, cert, key, passphrase, servername, rejectUnauthorized }).filter(
      ([, value]) => value !== undefined && value !== null,
    ),
  ) as TlsTrust;
  const basic = typeof auth === 'string' ? { Authorization: `Basic ${btoa(auth)}` } : {};
  const given = options.headers as Record<string, string> | undefined;
  return { headers: { ...basic, ...given, ...(await bearer(tokenFile)) }, tls };
};

/** Throws where the file is none, names no cluster, or asks for a proxy. */
export const clientNodeCredentials = (file: string): Credentials => {
  let loaded: Loaded | undefined = load(file);
  const cluster = loaded.config.getCurrentCluster();
  if (cluster === null) throw new Error(`${file} has no current context with a cluster`);
  if (cluster.proxyUrl !== undefined && cluster.proxyUrl !== '')
    throw new Error(`${file} asks for the proxy ${cluster.proxyUrl}, which is not supported`);
  return {
    server: cluster.server,
    read: async () => {
      loaded ??= load(file);
      return await accessOf(loaded);
    },
    forget: () => {
      loaded = undefined;
    },
  };
};
