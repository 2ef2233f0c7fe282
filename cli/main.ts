/** The command `scx-slo`: finds the part that does the work and hands the arguments on. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../slo/version.ts';
import { configCommand } from './config-command.ts';

const USAGE = `usage: scx-slo COMMAND [options]

  run ...                       the node agent (scx-slo run --help)
  signal ...                    the process that answers pods (scx-slo signal --help)
  sidecar ...                   stands before an app and rejects what the signal says (scx-slo sidecar --help)
  doctor [--dump] [--json]      what this node can do, why not more, and how the scheduler ended last
  webhook ...                   the admission webhook (scx-slo webhook --help)
  webhook-certificate ...       its certificate, where no cert-manager does that (scx-slo webhook-certificate --help)
  config init [--output FILE]   write a commented example (default /etc/scx-slo/config, "-" is standard output)
  config check FILE             say what is wrong in a config file, with line and column
  version                       print the version
  help                          print this
`;

/** Parts that are bundles of their own, because a node that runs one should not load the others. */
const BUNDLES: Readonly<Record<string, string>> = {
  run: 'agent.mjs',
  signal: 'signal.mjs',
  sidecar: 'sidecar.mjs',
  doctor: 'doctor.mjs',
  webhook: 'webhook.mjs',
  'webhook-certificate': 'webhook-certificate.mjs',
};

/** @returns the exit code; 2 for a bad command line */
export async function main(argv: string[]): Promise<number> {
  const [command = 'help', ...rest] = argv;
  const bundle = Object.hasOwn(BUNDLES, command) ? BUNDLES[command] : undefined;
  if (bundle !== undefined) {
    return await runBundle(bundle, rest);
  }
  switch (command) {
    case 'config':
      return await configCommand(rest);
    case 'version':
    case '--version':
      process.stdout.write(`scx-slo ${VERSION}\n`);
      return 0;
    case 'help':
    case '--help':
    case '-h':
      process.stdout.write(USAGE);
      return 0;
    default:
      process.stderr.write(`scx-slo: no command ${JSON.stringify(command)}\n\n${USAGE}`);
      return 2;
  }
}

async function runBundle(bundle: string, argv: string[]): Promise<number> {
  const url = new URL(bundle, import.meta.url);
  if (!existsSync(url)) {
    process.stderr.write(`scx-slo: ${fileURLToPath(url)} is missing. Build it with: npm run build\n`);
    return 1;
  }
  const part: { main(argv: string[]): Promise<number> } = await import(url.href);
  return await part.main(argv);
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2));
}
