import { pino } from 'pino';
import { VERSION } from '../slo/version.ts';
import { parseOptions, WEBHOOK_USAGE } from './options.ts';
import { startWebhook } from './server.ts';

/**
 * Runs until SIGTERM or SIGINT.
 *
 * @returns the exit code: 0 after an orderly end, 1 where it could not start, 2 for a bad command line
 */
export async function main(argv: string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options === 'help') {
    process.stdout.write(WEBHOOK_USAGE);
    return 0;
  }
  if ('error' in options) {
    process.stderr.write(`scx-slo webhook: ${options.error}\n\n${WEBHOOK_USAGE}`);
    return 2;
  }
  const log = pino({ base: { component: 'webhook' } });
  const webhook = await startWebhook(options, log);
  if (typeof webhook === 'string') {
    log.fatal(webhook);
    return 1;
  }
  log.info({ version: VERSION, port: webhook.port, healthPort: webhook.healthPort }, 'serving');
  await new Promise<void>((resolve) => {
    const stop = (): void => resolve(webhook.drain());
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
  return 0;
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2));
}
