/** The command lines of a control plane's programs. Pure. */
import { join } from 'node:path';
import { type Credentials, SERVICE_CIDR, type UserName } from './credentials.ts';

export interface Ports {
  etcd: number;
  etcdPeer: number;
  api: number;
  controllerManager: number;
  scheduler: number;
}

export const etcdUrl = ({ etcd }: Ports): string => `http://127.0.0.1:${etcd}`;
export const apiUrl = ({ api }: Ports): string => `https://127.0.0.1:${api}`;

export function etcdFlags(ports: Ports, dir: string): string[] {
  const [client, peer] = [etcdUrl(ports), `http://127.0.0.1:${ports.etcdPeer}`];
  return [
    '--name=test',
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=test=${peer}`,
    // Nothing here outlives a crash of the machine.
    '--unsafe-no-fsync=true',
  ];
}

/** @param hasControllers without a controller manager nobody makes the accounts that pods would need */
export function apiServerFlags(ports: Ports, credentials: Credentials, hasControllers: boolean): string[] {
  return [
    `--etcd-servers=${etcdUrl(ports)}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${ports.api}`,
    '--advertise-address=127.0.0.1',
    // The Service `kubernetes` may have no endpoint on loopback.
    '--endpoint-reconciler-type=none',
    `--service-cluster-ip-range=${SERVICE_CIDR}`,
    `--tls-cert-file=${credentials.certFile}`,
    `--tls-private-key-file=${credentials.keyFile}`,
    `--token-auth-file=${credentials.tokensFile}`,
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    `--service-account-issuer=${apiUrl(ports)}`,
    `--service-account-key-file=${credentials.serviceAccountPublicFile}`,
    `--service-account-signing-key-file=${credentials.serviceAccountKeyFile}`,
    '--profiling=false',
    ...(hasControllers ? [] : ['--disable-admission-plugins=ServiceAccount']),
  ];
}

/** Node objects here have no heartbeat, so nothing may judge nodes by it; nothing is routed. */
const UNWANTED_CONTROLLERS = ['nodelifecycle', 'nodeipam', 'ttl'];
/** Off unless a cloud is named; unknown since cloud providers left the source. */
const CLOUD_CONTROLLERS = ['route', 'cloud-node-lifecycle'];

export interface FlagContext {
  credentials: Credentials;
  /** For certificates that the programs make themselves. */
  dir: string;
  /** Before 1.24: serves plain HTTP, too, unless told not to, and knows controllers of clouds. */
  isOld: boolean;
}

export function controllerManagerFlags(ports: Ports, context: FlagContext): string[] {
  const { credentials } = context;
  const unwanted = [...UNWANTED_CONTROLLERS, ...(context.isOld ? CLOUD_CONTROLLERS : [])];
  return [
    ...commonFlags('controller-manager', ports.controllerManager, context),
    `--controllers=${['*', ...unwanted.map((name) => `-${name}`)].join(',')}`,
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${credentials.serviceAccountKeyFile}`,
    `--root-ca-file=${credentials.caFile}`,
    '--kube-api-qps=200',
    '--kube-api-burst=400',
  ];
}

export const schedulerFlags = (ports: Ports, context: FlagContext): string[] =>
  commonFlags('scheduler', ports.scheduler, context);

function commonFlags(user: UserName, port: number, { credentials, dir, isOld }: FlagContext): string[] {
  return [
    ...['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
      (flag) => `--${flag}=${credentials.kubeconfigs[user]}`,
    ),
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    ...(isOld ? ['--port=0'] : []),
    `--cert-dir=${join(dir, user)}`,
    '--leader-elect=false',
  ];
}
