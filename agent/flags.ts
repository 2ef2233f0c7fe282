/** Command lines as tables of flags, each also an environment variable. Pure; a bad value is a Failure that names it. */
import { parseArgs } from 'node:util';
import { type Failure, failure } from './failure.ts';

/** Where a server listens; undefined: it is off. */
export type ListenAddress = { host: string; port: number } | undefined;

export interface Flag {
  type: 'string' | 'boolean';
  default: string;
  help: string;
}

export type FlagTable = Readonly<Record<string, Flag>>;

/** Every flag's text, and which program it is for: failures point at its --help. */
export interface FlagTexts<T extends FlagTable> {
  program: string;
  text: Readonly<Record<keyof T & string, string>>;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** @param prefix of the environment variables, for example `SCX_SLO_`. */
export const envName = (flag: string, prefix = 'SCX_SLO_'): string =>
  `${prefix}${flag.toUpperCase().replaceAll('-', '_')}`;

/** @param usage the lines above the table. */
export const flagsHelp = (usage: readonly string[], flags: FlagTable): string => {
  const lines = Object.entries(flags).map(([name, { type, default: preset, help }]) => {
    const left = `  --${name}${type === 'string' ? ' VALUE' : ''}`.padEnd(28);
    return `${left}${help}${preset && type === 'string' ? ` [${preset}]` : ''}`;
  });
  return [...usage, '', ...lines, '  --help, --version', ''].join('\n');
};

export const badFlag = (program: string, what: string, why: string): Failure =>
  failure('SLO_E_OPTION', what, why, `see ${program} --help`);

export const cut = (value: string): string =>
  JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}...` : value);

export const orUndefined = (value: string): string | undefined => (value === '' ? undefined : value);

/** Flags win over the environment, the environment over the defaults. */
export const readFlags = <T extends FlagTable>(
  program: string,
  flags: T,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  prefix = 'SCX_SLO_',
): FlagTexts<T> | Failure | 'help' | 'version' => {
  const types = Object.fromEntries(Object.entries(flags).map(([name, { type }]) => [name, { type }]));
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
    const textOf = (name: string, preset: string): string =>
      String(values[name] ?? env[envName(name, prefix)] ?? preset);
    const text = Object.fromEntries(
      Object.entries(flags).map(([name, flag]) => [name, textOf(name, flag.default)]),
    ) as Record<keyof T & string, string>;
    return { program, text };
  } catch (error) {
    return badFlag(program, 'bad command line', error instanceof Error ? error.message : String(error));
  }
};

/** Reads single values of a table; each returns a Failure that names the flag. */
export class FlagReader<T extends FlagTable> {
  readonly #texts: FlagTexts<T>;

  constructor(texts: FlagTexts<T>) {
    this.#texts = texts;
  }

  text(flag: keyof T & string): string {
    return this.#texts.text[flag];
  }

  /** HOST:PORT, [IPV6]:PORT or `off`. */
  address(flag: keyof T & string): ListenAddress | Failure {
    const value = this.text(flag);
    if (value === 'off') return undefined;
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):([0-9]{1,5})$/.exec(value);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host !== undefined && port <= 65_535) return { host, port };
    return this.bad(`bad --${flag}`, `${cut(value)} is neither HOST:PORT nor [IPV6]:PORT nor off`);
  }

  oneOf<V extends string>(flag: keyof T & string, allowed: readonly V[]): V | Failure {
    const value = this.text(flag);
    return (
      allowed.find((candidate) => candidate === value) ??
      this.bad(`bad --${flag}`, `${cut(value)} is none of ${allowed.join(', ')}`)
    );
  }

  boolean(flag: keyof T & string): boolean | Failure {
    const value = this.text(flag);
    if (value === 'true' || value === '1') return true;
    if (value === 'false' || value === '0' || value === '') return false;
    return this.bad(`bad ${envName(flag)}`, `${cut(value)} is neither true nor false`);
  }

  bad(what: string, why: string): Failure {
    return badFlag(this.#texts.program, what, why);
  }
}
