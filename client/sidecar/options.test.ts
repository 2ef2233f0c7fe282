import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSidecarOptions, SIDECAR_USAGE } from './options.ts';

describe('options of the sidecar', () => {
  it('need nothing but the port of the app', () => {
    expect(parseSidecarOptions([], { SCX_SLO_APP_PORT: '8080' })).toEqual({
      app: { host: '127.0.0.1', port: 8080 },
      listen: { host: '', port: 8429 },
      health: { host: '', port: 8430 },
      endpoint: 'http://scx-slo-signal.scx-slo-system.svc:7080',
      status: 429,
      exempt: ['/healthz', '/readyz', '/livez', '/metrics'],
      dryRun: false,
      maxConnections: 1024,
    });
    expect(parseSidecarOptions([], {})).toEqual({ error: expect.stringContaining('--app-port') });
  });

  it('flags win over the environment', () => {
    const env = { SCX_SLO_APP_PORT: '1', SCX_SLO_ENDPOINT: 'http://h:1', SCX_SLO_DRY_RUN: 'true' };
    const argv = ['--app-port', '2', '--endpoint=unix:/run/x.sock', '--listen-address', '[::1]:0'];
    expect(parseSidecarOptions(argv, env)).toMatchObject({
      app: { port: 2 },
      endpoint: 'unix:/run/x.sock',
      listen: { host: '::1', port: 0 },
      dryRun: true,
    });
    expect(parseSidecarOptions(['--help'], {})).toBe('help');
    expect(SIDECAR_USAGE).toContain('--listen-address');
  });

  it.each([
    ['--app-port', '0'],
    ['--app-port', '65536'],
    ['--app-port', '0x50'],
    ['--listen-address', '8429'],
    ['--listen-address', 'a b:1'],
    ['--status', '200'],
    ['--endpoint', 'https://x'],
    ['--endpoint', 'unix:relative'],
    ['--exempt', 'healthz'],
    ['--dry-run', 'yes'],
    ['--max-connections', '0'],
    ['--what', 'x'],
  ])('%s %s is refused by name', (flag, value) => {
    const parsed = parseSidecarOptions([flag, value], { SCX_SLO_APP_PORT: '1' });
    expect(parsed).toEqual({ error: expect.stringContaining(flag) });
  });

  it('no text makes it throw', () => {
    void fc.assert(
      fc.property(fc.array(fc.string()), fc.dictionary(fc.string(), fc.string()), (argv, env) => {
        expect(parseSidecarOptions(argv, env)).toBeDefined();
      }),
    );
  });
});
