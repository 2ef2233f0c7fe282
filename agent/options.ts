/** Flags and environment -> options. Pure; a bad value is a Failure that names it. */
import { hostname } from 'node:os';
import { type Failure, isFailure } from './failure.ts';
import {
  cut,
  type Flag,
  FlagReader,
  flagsHelp,
  type ListenAddress,
  LOG_LEVELS,
  type LogLevel,
  orUndefined,
  readFlags,
} from './flags.ts';
import type { Mode } from './kernel/port.ts';

export interface KubeOptions {
  /** undefined: the service account of this pod. */
  kubeconfig: string | undefined;
  /** Report the condition SchedExtReady on the Node. */
  nodeCondition: boolean;
}

export interface AgentOptions {
  mode: Mode;
  config: string | undefined;
  podsDir: string | undefined;
  /** How pods come from an API server; undefined: they do not. */
  kube: KubeOptions | undefined;
  /** undefined: found in /proc/self/mountinfo. */
  cgroupRoot: string | undefined;
  metricsAddress: ListenAddress;
  localAddress: ListenAddress;
  signalAddress: ListenAddress;
  signalDir: string | undefined;
  /** Where a signal process gets the levels; undefined: this process answers the pods itself. */
  levelsSocket: string | undefined;
  /** Levels are computed and shown, and nobody is told to refuse. */
  shedDryRun: boolean;
  allowAttachHang: boolean;
  /** Where exit records outlive the agent; undefined: memory only. */
  stateDir: string | undefined;
  /** How long a runnable task may wait before the kernel ends the scheduler. */
  watchdogMs: number;
  nodeName: string;
  /** features.d of node-feature-discovery; undefined: no labels. */
  featureDir: string | undefined;
  logLevel: LogLevel;
}

export type Command = { kind: 'run'; options: AgentOptions } | { kind: 'help' } | { kind: 'version' };

const MODES: readonly Mode[] = ['observe', 'advisory', 'enforce'];

const FLAGS = {
  mode: { type: 'string', default: 'observe', help: 'observe, advisory or enforce' },
  config: { type: 'string', default: '', help: 'rules `cgroup_path budget_ms importance`, one a line' },
  'pods-dir': { type: 'string', default: '', help: 'directory of pod manifests' },
  kube: {
    type: 'string',
    default: 'auto',
    help: "this node's pods from the API server: on, off; auto: with --kubeconfig, or in a pod without other sources",
  },
  kubeconfig: { type: 'string', default: '', help: "how to reach it (default: the pod's service account)" },
  'node-condition': {
    type: 'boolean',
    default: 'false',
    help: 'report the condition SchedExtReady on the Node (needs patch of nodes/status)',
  },
  'feature-dir': {
    type: 'string',
    default: '',
    help: 'features.d of node-feature-discovery, which makes the labels scx-slo.io/*',
  },
  'cgroup-root': { type: 'string', default: '', help: 'where cgroup v2 is mounted (default: found)' },
  'metrics-address': { type: 'string', default: '0.0.0.0:9090', help: '/metrics, /healthz, /readyz; `off`' },
  'local-address': { type: 'string', default: '127.0.0.1:7090', help: '/v1/pods, loopback only; `off`' },
  'signal-address': {
    type: 'string',
    default: '0.0.0.0:7080',
    help: '/v1/shed and /v1/level for pods; `off`',
  },
  'signal-dir': { type: 'string', default: '', help: 'Unix sockets for the cgroups of --config' },
  'levels-socket': {
    type: 'string',
    default: '',
    help: 'Unix socket for `scx-slo signal`, which then answers the pods instead of this process',
  },
  'shed-dry-run': {
    type: 'boolean',
    default: 'false',
    help: 'computes and shows shed levels, refuses nothing',
  },
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
  'node-name': { type: 'string', default: '', help: 'name of this node (default: NODE_NAME, host name)' },
  'log-level': { type: 'string', default: 'info', help: LOG_LEVELS.join(', ') },
} as const satisfies Record<string, Flag>;

const PROGRAM = 'scx-slo-agent';

export const helpText = (): string =>
  flagsHelp(
    [
      'scx-slo agent: turns pod SLOs into deadlines on this node',
      '',
      'Usage: scx-slo-agent [flags]; each flag also as SCX_SLO_<NAME>, for example SCX_SLO_PODS_DIR',
    ],
    FLAGS,
  );

const isLoopback = (host: string): boolean =>
  /^127\.[0-9.]+$/.test(host) || host === '::1' || host === 'localhost';

/** The kernel allows no more than 30 s; below a second a busy node would be a stalled one. */
const WATCHDOG_MS: readonly [number, number] = [1_000, 30_000];

const parseWatchdog = (reader: FlagReader<typeof FLAGS>): number | Failure => {
  const value = reader.text('watchdog-ms');
  const ms = Number(value);
  const [least, most] = WATCHDOG_MS;
  if (/^[0-9]{1,5}$/.test(value) && ms >= least && ms <= most) return ms;
  return reader.bad(
    'bad --watchdog-ms',
    `${cut(value)} is not a number of milliseconds, ${least} .. ${most}`,
  );
};

export const parseOptions = (argv: readonly string[], env: NodeJS.ProcessEnv): Command | Failure => {
  const texts = readFlags(PROGRAM, FLAGS, argv, env);
  if (texts === 'help' || texts === 'version') return { kind: texts };
  if (isFailure(texts)) return texts;
  const reader = new FlagReader(texts);
  const typed = {
    mode: reader.oneOf('mode', MODES),
    metricsAddress: reader.address('metrics-address'),
    localAddress: reader.address('local-address'),
    signalAddress: reader.address('signal-address'),
    shedDryRun: reader.boolean('shed-dry-run'),
    kube: reader.oneOf('kube', ['auto', 'on', 'off'] as const),
    nodeCondition: reader.boolean('node-condition'),
    allowAttachHang: reader.boolean('allow-attach-hang'),
    watchdogMs: parseWatchdog(reader),
    logLevel: reader.oneOf('log-level', LOG_LEVELS),
  };
  const bad = Object.values(typed).find(isFailure);
  if (bad !== undefined) return bad;
  const good = typed as { [K in keyof typeof typed]: Exclude<(typeof typed)[K], Failure> };
  if (good.localAddress !== undefined && !isLoopback(good.localAddress.host)) {
    return reader.bad(
      'bad --local-address',
      `${cut(good.localAddress.host)} is no loopback address, and /v1/pods names neighbours`,
    );
  }
  const stateDir = reader.text('state-dir');
  const { kube, nodeCondition, ...rest } = good;
  const kubeconfig = orUndefined(reader.text('kubeconfig'));
  const config = orUndefined(reader.text('config'));
  const podsDir = orUndefined(reader.text('pods-dir'));
  const isInCluster = orUndefined(env.KUBERNETES_SERVICE_HOST ?? '') !== undefined;
  const isAlone = isInCluster && config === undefined && podsDir === undefined;
  const isWanted = kube === 'on' || (kube === 'auto' && (kubeconfig !== undefined || isAlone));
  return {
    kind: 'run',
    options: {
      ...rest,
      kube: isWanted ? { kubeconfig, nodeCondition } : undefined,
      config,
      podsDir,
      cgroupRoot: orUndefined(reader.text('cgroup-root')),
      signalDir: orUndefined(reader.text('signal-dir')),
      levelsSocket: orUndefined(reader.text('levels-socket')),
      stateDir: stateDir === 'off' ? undefined : orUndefined(stateDir),
      nodeName: orUndefined(reader.text('node-name')) ?? orUndefined(env.NODE_NAME ?? '') ?? hostname(),
      featureDir: orUndefined(reader.text('feature-dir')),
    },
  };
};
