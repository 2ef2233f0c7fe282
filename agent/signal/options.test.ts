import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFailure } from '../failure.ts';
import { parseSignalOptions, signalHelp } from './options.ts';

describe('options of the signal process', () => {
  it('need nothing', () => {
    expect(parseSignalOptions([], {})).toEqual({
      kind: 'run',
      options: {
        levels: '/run/scx-slo/levels.sock',
        listen: { host: '0.0.0.0', port: 7080 },
        health: { host: '0.0.0.0', port: 7081 },
        podSockets: undefined,
        cgroupSockets: undefined,
        logLevel: 'info',
      },
    });
  });

  it('come from flags before the environment, whose names are its own', () => {
    const env = { SCX_SLO_SIGNAL_LISTEN: '[::]:1', SCX_SLO_SIGNAL_LEVELS: '/a', SCX_SLO_LOG_LEVEL: 'debug' };
    expect(parseSignalOptions(['--levels', '/b', '--health=off', '--pod-sockets', '/p'], env)).toMatchObject({
      options: {
        levels: '/b',
        listen: { host: '::', port: 1 },
        health: undefined,
        podSockets: '/p',
        logLevel: 'info',
      },
    });
    expect(signalHelp()).toContain('--cgroup-sockets');
  });

  it.each([
    [['--listen', '7080'], '--listen'],
    [['--health', ''], '--health'],
    [['--levels', ''], '--levels'],
    [['--log-level', 'loud'], '--log-level'],
    [['stray'], 'command line'],
  ])('refuse %j', (argv, named) => {
    expect(parseSignalOptions(argv, {})).toMatchObject({
      code: 'SLO_E_OPTION',
      what: expect.stringContaining(named),
      next: 'see scx-slo signal --help',
    });
  });

  it('never throw', () => {
    void fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('--levels', '--listen'))), (argv) => {
        const parsed = parseSignalOptions(argv, {});
        expect('kind' in parsed || isFailure(parsed)).toBe(true);
      }),
    );
  });
});
