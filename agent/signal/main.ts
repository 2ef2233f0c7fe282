/** Entry point of the signal process: levels from the agent's socket in, answers to pods out. */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type Logger, pino } from 'pino';
import { VERSION } from '../../slo/version.ts';
import { failureText, isFailure } from '../failure.ts';
import { createPageServer, listen } from '../observe/http-server.ts';
import { AgentLink } from './agent-link.ts';
import { AnswerCounts } from './answer-counts.ts';
import { SignalEndpoint } from './endpoint.ts';
import { LevelTable } from './level-table.ts';
import { parseSignalOptions, type SignalOptions, signalHelp } from './options.ts';
import { signalPages } from './pages.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** How often levels age, and counts go to the agent. */
const AGE_MS = 200;
const COUNTS_MS = 1_000;
const MAX_CONNECTIONS = 4_096;
/** Descriptors that are no pod's connection. */
const OWN_DESCRIPTORS = 128;

/** Node raises the soft limit to the hard one; with fewer descriptors than connections, accept() itself would fail. */
const connectionRoom = (): number => {
  try {
    const soft = /^Max open files +([0-9]+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return Math.max(64, Math.min(MAX_CONNECTIONS, Number(soft ?? 1_024) - OWN_DESCRIPTORS));
  } catch {
    return MAX_CONNECTIONS;
  }
};

const untilSignal = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    process.once('SIGTERM', resolve).once('SIGINT', resolve);
  });

const makeParts = (options: SignalOptions, log: Logger) => {
  const table = new LevelTable();
  const counts = new AnswerCounts();
  const endpoint = new SignalEndpoint(
    { ...options, listenFlag: 'listen', maxConnections: connectionRoom() },
    {
      table,
      counts,
      onReport: (podUid, { queueWaitMs }) => link.send({ t: 'report', podUid, queueWaitMs }),
      onFailure: (failure) => log.error({ failure }, failure.what),
    },
  );
  const link = new AgentLink(options.levels, {
    onMessage: (message) => {
      if (message.t === 'cgroups') {
        endpoint.setCgroups(message.cgroups);
        return;
      }
      table.take(message, performance.now());
      endpoint.syncPodSockets();
    },
    onChange: (() => {
      let told = '';
      return (connected, why) => {
        const now = connected ? 'the agent is there' : `no levels from the agent: ${why}`;
        if (now !== told) log[connected ? 'info' : 'warn']({ levels: options.levels }, now);
        told = now;
      };
    })(),
  });
  return { table, counts, endpoint, link };
};

const run = async (options: SignalOptions): Promise<number> => {
  const log = pino({ level: options.logLevel, base: {}, timestamp: pino.stdTimeFunctions.isoTime });
  const signalled = untilSignal();
  const { table, counts, endpoint, link } = makeParts(options, log);
  const port = await endpoint.start();
  if (isFailure(port)) {
    log.fatal({ failure: port }, failureText(port));
    return EXIT_FAILED;
  }
  const pages = createPageServer(signalPages({ table, counts, endpoint, link }), (error) =>
    log.error({ err: error }, 'a page failed'),
  );
  const { health } = options;
  const page = health === undefined ? undefined : await listen(pages, health.host, health.port, 'health');
  if (isFailure(page)) {
    log.fatal({ failure: page }, failureText(page));
    endpoint.stop();
    return EXIT_FAILED;
  }
  link.start();
  const timers = [
    setInterval(() => table.age(performance.now()), AGE_MS),
    setInterval(() => counts.flush((message) => link.send(message)), COUNTS_MS),
  ];
  log.info({ port, health: page?.port, version: VERSION }, 'started');
  const signal = await signalled;
  log.info({ signal }, 'stopping');
  for (const timer of timers) clearInterval(timer);
  counts.flush((message) => link.send(message));
  link.stop();
  endpoint.stop();
  pages.close();
  pages.closeAllConnections();
  return 0;
};

/** @param argv without node and the script. @returns the exit code: 0, 1 (cannot run), 2 (bad flags). */
export const main = async (argv: string[]): Promise<number> => {
  const command = parseSignalOptions(argv, process.env);
  if (isFailure(command)) {
    process.stderr.write(`${failureText(command)}\n`);
    return EXIT_USAGE;
  }
  if (command.kind === 'help') process.stdout.write(signalHelp());
  if (command.kind === 'version') process.stdout.write(`${VERSION}\n`);
  return command.kind === 'run' ? await run(command.options) : 0;
};

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await main(process.argv.slice(2));
}
