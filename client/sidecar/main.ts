/** Entry point of `scx-slo sidecar`. */
import { parseSidecarOptions, SIDECAR_USAGE } from './options.ts';
import { Sidecar } from './sidecar.ts';

const log = (msg: string, more: Readonly<Record<string, unknown>> = {}): void => {
  process.stdout.write(`${JSON.stringify({ component: 'sidecar', msg, ...more })}\n`);
};

/**
 * Runs until SIGTERM or SIGINT.
 *
 * @returns the exit code: 0 after an orderly end, 1 where it could not listen, 2 for a bad command line
 */
export async function main(argv: string[]): Promise<number> {
  const options = parseSidecarOptions(argv, process.env);
  if (options === 'help') {
    process.stdout.write(SIDECAR_USAGE);
    return 0;
  }
  if ('error' in options) {
    process.stderr.write(`scx-slo sidecar: ${options.error}\n\n${SIDECAR_USAGE}`);
    return 2;
  }
  const signalled = new Promise<string>((resolve) => {
    process.once('SIGTERM', resolve).once('SIGINT', resolve);
  });
  const sidecar = new Sidecar(options);
  const started = await sidecar.start();
  if (started instanceof Error) {
    log('cannot listen', {
      why: started.message,
      next: 'choose another --listen-address or --health-address',
    });
    sidecar.close();
    return 1;
  }
  log('started', { ...started, app: options.app, endpoint: options.endpoint });
  log('stopping', { signal: await signalled });
  await sidecar.drain();
  return 0;
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2));
}
