/** What a control plane needs to know its own people by: certificates, tokens, kubeconfigs. Everything is fresh. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ca, createCa, issue } from '../fakes/certificates.ts';

/** First address of the services' range: what a pod calls `kubernetes.default`. */
export const SERVICE_CIDR = '10.96.0.0/16';
const API_SERVICE_IP = '10.96.0.1';

/** This machine's loopback, as a virtual machine sees it. */
export const HOST_IN_GUEST = '10.0.2.2';
export const NODE_NAME = 'cluster-node';

/** Name, groups. Tokens and not certificates: they need no issuing. */
const USERS = {
  admin: ['kubernetes-admin', 'system:masters'],
  'controller-manager': ['system:kube-controller-manager', ''],
  scheduler: ['system:kube-scheduler', ''],
  // Of the one real node that a cluster may have.
  node: [`system:node:${NODE_NAME}`, 'system:nodes'],
  proxy: ['system:kube-proxy', ''],
} as const;

export type UserName = keyof typeof USERS;

export interface Credentials {
  /** Of the API server. */
  ca: Ca;
  caFile: string;
  certFile: string;
  keyFile: string;
  serviceAccountKeyFile: string;
  serviceAccountPublicFile: string;
  tokensFile: string;
  tokens: Readonly<Record<UserName, string>>;
  kubeconfigs: Readonly<Record<UserName, string>>;
}

/** @param ips more addresses of the API server */
export async function writeCredentials(
  dir: string,
  url: string,
  ips: readonly string[] = [],
): Promise<Credentials> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const write = (name: string, text: string): string => {
    const file = join(dir, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const ca = await createCa('scx-slo test cluster');
  const leaf = await issue(ca, {
    dnsNames: ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'localhost'],
    ips: ['127.0.0.1', API_SERVICE_IP, ...ips],
  });
  const accounts = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const names = Object.keys(USERS) as UserName[];
  const perUser = (make: (name: UserName) => string) =>
    Object.fromEntries(names.map((name) => [name, make(name)])) as Record<UserName, string>;
  const tokens = perUser(() => randomBytes(24).toString('hex'));
  const rows = names.map((name) => {
    const [user, groups] = USERS[name];
    return `${tokens[name]},${user},${user}${groups === '' ? '' : `,"${groups}"`}\n`;
  });
  const caFile = write('ca.crt', ca.cert);
  return {
    ca,
    caFile,
    certFile: write('apiserver.crt', leaf.cert),
    keyFile: write('apiserver.key', leaf.key),
    serviceAccountKeyFile: write('accounts.key', accounts.privateKey),
    serviceAccountPublicFile: write('accounts.pub', accounts.publicKey),
    tokensFile: write('tokens.csv', rows.join('')),
    tokens,
    kubeconfigs: perUser((name) => write(`${name}.kubeconfig`, kubeconfig(url, ca.cert, tokens[name]))),
  };
}

/** As JSON, which is YAML. */
export function kubeconfig(url: string, caCert: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: { server: url, 'certificate-authority-data': Buffer.from(caCert).toString('base64') },
      },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
}
