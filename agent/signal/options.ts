/** Flags of `scx-slo signal`. Pure. */
import { type Failure, isFailure } from '../failure.ts';
import {
  type Flag,
  FlagReader,
  flagsHelp,
  type ListenAddress,
  LOG_LEVELS,
  type LogLevel,
  orUndefined,
  readFlags,
} from '../flags.ts';

export interface SignalOptions {
  /** The agent's socket (its --levels-socket). */
  levels: string;
  /** Where pods ask. */
  listen: ListenAddress;
  /** /healthz, /readyz, /metrics. */
  health: ListenAddress;
  /** One socket a pod, DIR/<uid>/shed.sock; undefined: none. */
  podSockets: string | undefined;
  /** One socket a cgroup of the agent's --config; undefined: none. */
  cgroupSockets: string | undefined;
  logLevel: LogLevel;
}

export type SignalCommand = { kind: 'run'; options: SignalOptions } | { kind: 'help' } | { kind: 'version' };

const FLAGS = {
  levels: {
    type: 'string',
    default: '/run/scx-slo/levels.sock',
    help: 'Unix socket of the agent, its --levels-socket',
  },
  listen: {
    type: 'string',
    default: '0.0.0.0:7080',
    help: 'where pods ask; [::]:7080 takes both families; `off`',
  },
  health: { type: 'string', default: '0.0.0.0:7081', help: '/healthz, /readyz, /metrics; `off`' },
  'pod-sockets': {
    type: 'string',
    default: '',
    help: 'directory for a Unix socket a pod: DIR/<uid>/shed.sock',
  },
  'cgroup-sockets': {
    type: 'string',
    default: '',
    help: "directory for sockets of the agent's --config rules",
  },
  'log-level': { type: 'string', default: 'info', help: LOG_LEVELS.join(', ') },
} as const satisfies Record<string, Flag>;

const PROGRAM = 'scx-slo signal';
const ENV_PREFIX = 'SCX_SLO_SIGNAL_';

export const signalHelp = (): string =>
  flagsHelp(
    [
      'scx-slo signal: tells pods how much to shed; needs no capability and no file but the socket',
      '',
      `Usage: ${PROGRAM} [flags]; each flag also as ${ENV_PREFIX}<NAME>, for example ${ENV_PREFIX}LISTEN`,
    ],
    FLAGS,
  );

export const parseSignalOptions = (
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): SignalCommand | Failure => {
  const texts = readFlags(PROGRAM, FLAGS, argv, env, ENV_PREFIX);
  if (texts === 'help' || texts === 'version') return { kind: texts };
  if (isFailure(texts)) return texts;
  const reader = new FlagReader(texts);
  const typed = {
    listen: reader.address('listen'),
    health: reader.address('health'),
    logLevel: reader.oneOf('log-level', LOG_LEVELS),
  };
  const bad = Object.values(typed).find(isFailure);
  if (bad !== undefined) return bad;
  const good = typed as { [K in keyof typeof typed]: Exclude<(typeof typed)[K], Failure> };
  const levels = reader.text('levels');
  if (levels === '') return reader.bad('bad --levels', 'it is empty, and levels come from there only');
  return {
    kind: 'run',
    options: {
      ...good,
      levels,
      podSockets: orUndefined(reader.text('pod-sockets')),
      cgroupSockets: orUndefined(reader.text('cgroup-sockets')),
    },
  };
};
