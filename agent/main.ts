/** Entry point of the node agent: options, wiring with the real world, signals, exit code. */
import { cpus } from 'node:os';
import { pathToFileURL } from 'node:url';
import { type Logger, pino } from 'pino';
import type { KubeConnection } from '../kube/connection.ts';
import { VERSION } from '../slo/version.ts';
import { Agent } from './agent.ts';
import { failureText, isFailure } from './failure.ts';
import { findCgroup2Mount } from './kernel/cgroup2-mount.ts';
import { hostSysfs } from './kernel/sysfs.ts';
import { connectKube } from './kube-connect.ts';
import { type AgentOptions, helpText, parseOptions } from './options.ts';
import { ApiSource } from './pods/api-source.ts';
import { ConfigSource } from './pods/config-source.ts';
import { ManifestSource } from './pods/manifest-source.ts';
import { realKernel } from './real-kernel.ts';
import { reportersOf } from './report/reporters.ts';
import type { NamedSource } from './target-store.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const LINGER_MS = 1_000;

/** Where a node without a visible cgroup v2 mount would have it; the walk then says what is wrong. */
const USUAL_MOUNT = '/sys/fs/cgroup';

const sourcesOf = (
  { config, podsDir, nodeName }: AgentOptions,
  kube: KubeConnection | undefined,
  log: Logger,
): NamedSource[] => [
  ...(config === undefined ? [] : [{ name: 'config', source: new ConfigSource({ file: config }) }]),
  ...(podsDir === undefined
    ? []
    : [{ name: 'pods-dir', source: new ManifestSource({ directory: podsDir, nodeName }) }]),
  ...(kube === undefined
    ? []
    : [
        {
          name: 'kube',
          source: new ApiSource({
            connection: kube,
            nodeName,
            onError: (error) => log.error({ err: error }, 'reading an object of the API server failed'),
          }),
        },
      ]),
];

const untilSignal = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    process.once('SIGTERM', resolve).once('SIGINT', resolve);
  });

const run = async (options: AgentOptions): Promise<number> => {
  const log = pino({
    level: options.logLevel,
    base: { node: options.nodeName },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
  const signalled = untilSignal();
  const kube = await connectKube(options.kube, process.env);
  if (isFailure(kube)) {
    log.fatal({ failure: kube }, failureText(kube));
    return EXIT_FAILED;
  }
  const sources = sourcesOf(options, kube, log);
  const cgroupMount =
    options.cgroupRoot ?? findCgroup2Mount(hostSysfs.text('/proc/self/mountinfo') ?? '') ?? USUAL_MOUNT;
  const agent = new Agent(options, {
    kernel: realKernel(options),
    log,
    sources,
    reporters: reportersOf(options, kube, log),
    cgroupMount,
    cpus: () => cpus().length,
  });
  if (sources.length === 0)
    log.warn('neither an API server, --config nor --pods-dir: no SLOs, waits are measured all the same');
  const started = await Promise.race([agent.start(), signalled]);
  if (isFailure(started)) {
    log.fatal({ failure: started }, failureText(started));
    return EXIT_FAILED;
  }
  if (typeof started === 'object') log.info({ ...started, cgroupMount, version: VERSION }, 'started');
  const signal = await signalled;
  log.info({ signal }, 'stopping');
  await agent.stop();
  kube?.close();
  log.info('stopped');
  // A detach that hangs in the kernel would keep the process; ending it hands the node back as well.
  setTimeout(() => process.exit(0), LINGER_MS).unref();
  return 0;
};

/** @param argv without node and the script. @returns the exit code: 0, 1 (cannot run), 2 (bad flags). */
export const main = async (argv: string[]): Promise<number> => {
  const command = parseOptions(argv, process.env);
  if (isFailure(command)) {
    process.stderr.write(`${failureText(command)}\n`);
    return EXIT_USAGE;
  }
  if (command.kind === 'help') process.stdout.write(helpText());
  if (command.kind === 'version') process.stdout.write(`${VERSION}\n`);
  return command.kind === 'run' ? await run(command.options) : 0;
};

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await main(process.argv.slice(2));
}
