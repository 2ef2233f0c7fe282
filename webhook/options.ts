import { parseArgs } from 'node:util';
import type { WebhookOptions } from './server.ts';

export const WEBHOOK_USAGE = `usage: scx-slo webhook --cert FILE --key FILE [options]

  --cert FILE         PEM certificate (chain) of the server
  --key FILE          PEM private key; both are read again when they change
  --host ADDRESS      address to listen on (default: all)
  --port N            POST /mutate over TLS 1.3 (default 10250)
  --health-port N     /healthz, /readyz and /metrics over plain HTTP (default 9091)
  --lame-duck SECONDS after SIGTERM: not ready but serving (default 5)
  --help
`;

/** @returns the options, `help`, or what is wrong with the command line */
export function parseOptions(argv: readonly string[]): WebhookOptions | 'help' | { error: string } {
  let values: Partial<Record<string, string | boolean>>;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      strict: true,
      options: {
        cert: { type: 'string' },
        key: { type: 'string' },
        host: { type: 'string' },
        port: { type: 'string', default: '10250' },
        'health-port': { type: 'string', default: '9091' },
        'lame-duck': { type: 'string', default: '5' },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
  if (values.help === true) {
    return 'help';
  }
  const { cert, key, host } = values;
  const port = wholeNumber(values.port, 65_535);
  const healthPort = wholeNumber(values['health-port'], 65_535);
  const lameDuck = wholeNumber(values['lame-duck'], 600);
  if (typeof cert !== 'string' || typeof key !== 'string') {
    return { error: '--cert FILE and --key FILE are needed' };
  }
  if (port === undefined || healthPort === undefined || lameDuck === undefined) {
    return { error: '--port and --health-port take 0 .. 65535, --lame-duck takes 0 .. 600' };
  }
  return {
    certFile: cert,
    keyFile: key,
    ...(typeof host === 'string' ? { host } : {}),
    port,
    healthPort,
    certificatePollMs: 5000,
    lameDuckMs: lameDuck * 1000,
    closeMs: 10_000,
  };
}

function wholeNumber(text: unknown, max: number): number | undefined {
  const number = typeof text === 'string' && /^[0-9]{1,5}$/.test(text) ? Number(text) : undefined;
  return number !== undefined && number <= max ? number : undefined;
}
