/** Flags and environment of `scx-slo sidecar`. Pure; a bad value is an error text that names it. */
import { parseArgs } from 'node:util';

/** Empty host: all addresses of both families. */
export interface Address {
  host: string;
  port: number;
}

export interface SidecarOptions {
  listen: Address;
  health: Address;
  app: Address;
  endpoint: string;
  status: 429 | 503;
  /** Path prefixes that are never shed. */
  exempt: readonly string[];
  dryRun: boolean;
  maxConnections: number;
}

interface Flag {
  preset: string;
  help: string;
}

const FLAGS = {
  'app-port': { preset: '', help: 'port of the app (needed)' },
  'app-host': { preset: '127.0.0.1', help: 'where the app listens' },
  'listen-address': { preset: ':8429', help: 'HOST:PORT, [IPV6]:PORT or :PORT for callers' },
  'health-address': { preset: ':8430', help: 'the same for /healthz, /readyz and /metrics' },
  endpoint: {
    preset: 'http://scx-slo-signal.scx-slo-system.svc:7080',
    help: 'the signal: http://HOST:PORT or unix:/PATH',
  },
  status: { preset: '429', help: 'of a rejected request, 429 or 503' },
  exempt: {
    preset: '/healthz,/readyz,/livez,/metrics',
    help: 'path prefixes that are never shed, by comma',
  },
  'dry-run': { preset: 'false', help: 'count, but reject nothing: true or false' },
  'max-connections': { preset: '1024', help: 'of callers at once, 1 .. 65535' },
} as const satisfies Record<string, Flag>;

type Raw = Record<keyof typeof FLAGS, string>;

const envName = (flag: string): string => `SCX_SLO_${flag.toUpperCase().replaceAll('-', '_')}`;

export const SIDECAR_USAGE = [
  'usage: scx-slo sidecar --app-port PORT [flags]   each flag also as SCX_SLO_<NAME>, for example SCX_SLO_APP_PORT',
  '',
  ...Object.entries(FLAGS).map(
    ([name, { preset, help }]) => `  ${`--${name} VALUE`.padEnd(26)}${help}${preset && ` [${preset}]`}`,
  ),
  '',
].join('\n');

class BadOption extends Error {}

const bad = (flag: string, value: string, wanted: string): BadOption =>
  new BadOption(`bad --${flag}: ${JSON.stringify(value.slice(0, 64))} is not ${wanted}`);

const numberOf = (flag: string, text: string, least: number, most: number): number => {
  const value = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && value >= least && value <= most) return value;
  throw bad(flag, text, `a number, ${least} .. ${most}`);
};

const addressOf = (flag: string, text: string): Address => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]*)):([0-9]{1,5})$/.exec(text);
  if (match === null) throw bad(flag, text, 'HOST:PORT, [IPV6]:PORT or :PORT');
  return { host: match[1] ?? match[2] ?? '', port: numberOf(flag, match[3] ?? '', 0, 65_535) };
};

const endpointOf = (text: string): string => {
  if (/^unix:\/[^\0]+$/.test(text)) return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' && url.hostname !== '') return text;
  throw bad('endpoint', text, 'http://HOST:PORT or unix:/PATH');
};

const exemptOf = (text: string): string[] => {
  const prefixes = text.split(',').filter((prefix) => prefix !== '');
  const wrong = prefixes.find((prefix) => !/^\/[^\s?#]+$/.test(prefix));
  if (wrong !== undefined) throw bad('exempt', wrong, 'a path such as /healthz');
  return prefixes;
};

const booleanOf = (flag: string, text: string): boolean => {
  if (text !== 'true' && text !== 'false') throw bad(flag, text, 'true or false');
  return text === 'true';
};

const optionsOf = (raw: Raw): SidecarOptions => {
  if (raw['app-port'] === '') throw new BadOption('--app-port (or SCX_SLO_APP_PORT) is needed');
  if (raw.status !== '429' && raw.status !== '503') throw bad('status', raw.status, '429 or 503');
  return {
    app: { host: raw['app-host'], port: numberOf('app-port', raw['app-port'], 1, 65_535) },
    listen: addressOf('listen-address', raw['listen-address']),
    health: addressOf('health-address', raw['health-address']),
    endpoint: endpointOf(raw.endpoint),
    status: raw.status === '429' ? 429 : 503,
    exempt: exemptOf(raw.exempt),
    dryRun: booleanOf('dry-run', raw['dry-run']),
    maxConnections: numberOf('max-connections', raw['max-connections'], 1, 65_535),
  };
};

/** Flags win over the environment, the environment over the defaults. */
export const parseSidecarOptions = (
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): SidecarOptions | 'help' | { error: string } => {
  const names = Object.keys(FLAGS) as (keyof typeof FLAGS)[];
  const known = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { ...known, help: { type: 'boolean' } },
      strict: true,
      allowPositionals: false,
    });
    if (values.help === true) return 'help';
    const given: Readonly<Record<string, unknown>> = values;
    const raw = names.map((name) => [name, String(given[name] ?? env[envName(name)] ?? FLAGS[name].preset)]);
    return optionsOf(Object.fromEntries(raw) as Raw);
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
};
