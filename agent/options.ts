/** Flags and environment -> options. Pure; a bad value is a Failure that names it. */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { type Failure, failure, isFailure } from './failure.ts';
import type { Mode } from './kernel/port.ts';

/** Where a server listens; undefined: it is off. */
export type ListenAddress = { host: string; port: number } | undefined;

export interface AgentOptions {
  mode: Mode;
  config: string | undefined;
  podsDir: string | undefined;
  /** undefined: found in /proc/self/mountinfo. */
  cgroupRoot: string | undefined;
  metricsAddress: ListenAddress;
  localAddress: ListenAddress;
  signalAddress: ListenAddress;
  signalDir: string | undefined;
  allowAttachHang: boolean;
  /** Where exit records outlive the agent; undefined: memory only. */
  stateDir: string | undefined;
  /** How long a runnable task may wait before the kernel ends the scheduler. */
  watchdogMs: number;
  nodeName: string;
  logLevel: LogLevel;
}

export type Command = { kind: 'run'; options: AgentOptions } | { kind: 'help' } | { kind: 'version' };

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const MODES: readonly Mode[] = ['observe', 'advisory', 'enforce'];

interface Flag {
  type: 'string' | 'boolean';
  default: string;
  help: string;
}

const FLAGS = {
  mode: { type: 'string', default: 'observe', help: 'observe, advisory or enforce' },
  config: { type: 'string', default: '', help: 'rules `cgroup_path budget_ms importance`, one a line' },
  'pods-dir': { type: 'string', default: '', help: 'directory of pod manifests' },
  'cgroup-root': { type: 'string', default: '', help: 'where cgroup v2 is mounted (default: found)' },
  'metrics-address': { type: 'string', default: '0.0.0.0:9090', help: '/metrics, /healthz, /readyz; `off`' },
  'local-address': { type: 'string', default: '127.0.0.1:7090', help: '/v1/pods, loopback only; `off`' },
  'signal-address': {
    type: 'string',
    default: '0.0.0.0:7080',
    help: '/v1/shed and /v1/level for pods; `off`',
  },
  'signal-dir': { type: 'string', default: '', help: 'Unix sockets for the cgroups of --config' },
  'allow-attach-hang': {
    type: 'boolean',
    default: 'false',
    help: 'enforce on kernels where attaching may hang',
  },
  'state-dir': {
    type: 'string',
    default: '/var/lib/scx-slo',
    help: 'keeps the last exits of the scheduler with their dumps; `off`',
  },
  'watchdog-ms': {
    type: 'string',
    default: '30000',
    help: 'the kernel takes the node back when a task waited this long, 1000 .. 30000',
  },
  'node-name': { type: 'string', default: '', help: 'name of this node (default: host name)' },
  'log-level': { type: 'string', default: 'info', help: LOG_LEVELS.join(', ') },
} as const satisfies Record<string, Flag>;

type FlagName = keyof typeof FLAGS;

export const envName = (flag: string): string => `SCX_SLO_${flag.toUpperCase().replaceAll('-', '_')}`;

export const helpText = (): string => {
  const flags = Object.entries(FLAGS).map(([name, { type, default: preset, help }]) => {
    const left = `  --${name}${type === 'string' ? ' VALUE' : ''}`.padEnd(28);
    return `${left}${help}${preset && type === 'string' ? ` [${preset}]` : ''}`;
  });
  return [
    'scx-slo agent: turns pod SLOs into deadlines on this node',
    '',
    'Usage: scx-slo-agent [flags]; each flag also as SCX_SLO_<NAME>, for example SCX_SLO_PODS_DIR',
    '',
    ...flags,
    '  --help, --version',
    '',
  ].join('\n');
};

const badFlag = (what: string, why: string): Failure =>
  failure('SLO_E_OPTION', what, why, 'see scx-slo-agent --help');

const cut = (value: string): string => JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}...` : value);

const parseAddress = (flag: FlagName, value: string): ListenAddress | Failure => {
  if (value === 'off') return undefined;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):([0-9]{1,5})$/.exec(value);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { host, port };
  return badFlag(`bad --${flag}`, `${cut(value)} is neither HOST:PORT nor [IPV6]:PORT nor off`);
};

const isLoopback = (host: string): boolean =>
  /^127\.[0-9.]+$/.test(host) || host === '::1' || host === 'localhost';

const oneOf = <T extends string>(flag: FlagName, value: string, allowed: readonly T[]): T | Failure =>
  allowed.find((candidate) => candidate === value) ??
  badFlag(`bad --${flag}`, `${cut(value)} is none of ${allowed.join(', ')}`);

const parseBoolean = (flag: FlagName, value: string): boolean | Failure => {
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0' || value === '') return false;
  return badFlag(`bad ${envName(flag)}`, `${cut(value)} is neither true nor false`);
};

/** The kernel allows no more than 30 s; below a second a busy node would be a stalled one. */
const WATCHDOG_MS: readonly [number, number] = [1_000, 30_000];

const parseWatchdog = (flag: FlagName, value: string): number | Failure => {
  const ms = Number(value);
  const [least, most] = WATCHDOG_MS;
  if (/^[0-9]{1,5}$/.test(value) && ms >= least && ms <= most) return ms;
  return badFlag(`bad --${flag}`, `${cut(value)} is not a number of milliseconds, ${least} .. ${most}`);
};

type RawFlags = Record<FlagName, string>;

/** Flags win over the environment, the environment over the defaults. */
const rawFlags = (
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): RawFlags | Failure | 'help' | 'version' => {
  const types = Object.fromEntries(Object.entries(FLAGS).map(([name, { type }]) => [name, { type }]));
  const known = { ...types, help: { type: 'boolean' as const }, version: { type: 'boolean' as const } };
  try {
    const values: Record<string, unknown> = parseArgs({
      args: [...argv],
      options: known,
      strict: true,
      allowPositionals: false,
    }).values;
    if (values.help === true) return 'help';
    if (values.version === true) return 'version';
    const raw = (name: string, preset: string): string =>
      String(values[name] ?? env[envName(name)] ?? preset);
    return Object.fromEntries(
      Object.entries(FLAGS).map(([name, flag]) => [name, raw(name, flag.default)]),
    ) as RawFlags;
  } catch (error) {
    return badFlag('bad command line', error instanceof Error ? error.message : String(error));
  }
};

const orUndefined = (value: string): string | undefined => (value === '' ? undefined : value);

export const parseOptions = (argv: readonly string[], env: NodeJS.ProcessEnv): Command | Failure => {
  const raw = rawFlags(argv, env);
  if (raw === 'help' || raw === 'version') return { kind: raw };
  if (isFailure(raw)) return raw;
  const typed = {
    mode: oneOf('mode', raw.mode, MODES),
    metricsAddress: parseAddress('metrics-address', raw['metrics-address']),
    localAddress: parseAddress('local-address', raw['local-address']),
    signalAddress: parseAddress('signal-address', raw['signal-address']),
    allowAttachHang: parseBoolean('allow-attach-hang', raw['allow-attach-hang']),
    watchdogMs: parseWatchdog('watchdog-ms', raw['watchdog-ms']),
    logLevel: oneOf('log-level', raw['log-level'], LOG_LEVELS),
  };
  const bad = Object.values(typed).find(isFailure);
  if (bad !== undefined) return bad;
  const good = typed as { [K in keyof typeof typed]: Exclude<(typeof typed)[K], Failure> };
  if (good.localAddress !== undefined && !isLoopback(good.localAddress.host)) {
    return badFlag(
      'bad --local-address',
      `${cut(good.localAddress.host)} is no loopback address, and /v1/pods names neighbours`,
    );
  }
  return {
    kind: 'run',
    options: {
      ...good,
      config: orUndefined(raw.config),
      podsDir: orUndefined(raw['pods-dir']),
      cgroupRoot: orUndefined(raw['cgroup-root']),
      signalDir: orUndefined(raw['signal-dir']),
      stateDir: raw['state-dir'] === 'off' ? undefined : orUndefined(raw['state-dir']),
      nodeName: orUndefined(raw['node-name']) ?? hostname(),
    },
  };
};
