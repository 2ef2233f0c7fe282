import { pino } from 'pino';
import { VERSION } from '../slo/version.ts';
import { joinCluster } from './cluster.ts';
import { parseOptions, WEBHOOK_USAGE } from './options.ts';
import { startWebhook } from './server.ts';

/** A line in the log for each pod that was patched: many at once in a rollout, so they are written together. */
const LOG_BUFFER_BYTES = 4096;
const LOG_FLUSH_MS = 500;

/**
 * Runs until SIGTERM or SIGINT.
 *
 * @returns the exit code: 0 after an orderly end, 1 where it could not start, 2 for a bad command line
 */
export async function main(argv: string[]): Promise<number> {
  const settings = parseOptions(argv);
  if (settings === 'help') {
    process.stdout.write(WEBHOOK_USAGE);
    return 0;
  }
  if ('error' in settings) {
    process.stderr.write(`scx-slo webhook: ${settings.error}\n\n${WEBHOOK_USAGE}`);
    return 2;
  }
  const sink = pino.destination({ dest: 1, sync: false, minLength: LOG_BUFFER_BYTES });
  const log = pino({ base: { component: 'webhook' } }, sink);
  setInterval(() => sink.flush(), LOG_FLUSH_MS).unref();
  const failed = (problem: string): number => {
    log.fatal(problem);
    sink.flushSync();
    return 1;
  };
  const cluster = await joinCluster(settings, log);
  if (typeof cluster === 'string') {
    return failed(cluster);
  }
  const webhook = await startWebhook(settings, cluster.policy, log);
  if (typeof webhook === 'string') {
    await cluster.stop();
    return failed(webhook);
  }
  log.info({ version: VERSION, port: webhook.port, healthPort: webhook.healthPort }, 'serving');
  await new Promise<void>((resolve) => {
    const stop = (): void => resolve(webhook.drain());
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
  await cluster.stop();
  sink.flushSync();
  return 0;
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2));
}
