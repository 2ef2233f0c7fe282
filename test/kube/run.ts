// node test/kube/run.ts [--cluster] [SUITE...] : runs the suites of test/kube/suites (parts of their names) against a real
// control plane, and writes build/test/kube.xml; the logs of all programs are in build/kube/logs. --cluster: those of
// test/kube/cluster, with a real node in a virtual machine, into build/test/cluster.xml and build/cluster/logs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SERVICE_CIDR } from './credentials.ts';
import { kubectlProgram, programsDir } from './programs.ts';

const isRoot = process.getuid?.() === 0;
/**
 * The run has a network of its own, of loopback alone. The addresses of Services are this machine's own in it, so that
 * the API server reaches whoever listens on a Service's port as it would in a cluster.
 */
const inOwnNetwork = [
  ...(isRoot ? ['--net'] : ['--net', '--map-root-user']),
  ...['sh', '-c', `ip link set lo up && ip route add local ${SERVICE_CIDR} dev lo && exec "$0" "$@"`],
];

async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { cluster: { type: 'boolean', default: false } },
  });
  const suite = values.cluster ? 'cluster' : 'kube';
  const logDir = join('build', suite, 'logs');
  const [programs, kubectl] = [programsDir(), kubectlProgram()];
  rmSync(logDir, { recursive: true, force: true });
  mkdirSync(logDir, { recursive: true });
  const dir = mkdtempSync(join(tmpdir(), 'scx-slo-kube-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const words = ['run', '--config', 'test/kube/vitest.kube.config.ts', ...positionals];
  const command = [process.execPath, vitest, ...words];
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', 'unshare', ...inOwnNetwork, ...command], {
    stdio: 'inherit',
    env: {
      ...process.env,
      SCX_SLO_KUBE_PROGRAMS: programs,
      SCX_SLO_KUBE_KUBECTL: kubectl,
      SCX_SLO_KUBE_DIR: dir,
      SCX_SLO_KUBE_LOGS: logDir,
      SCX_SLO_KUBE_SUITE: suite,
      SCX_SLO_KUBE_IS_ROOT: String(isRoot),
    },
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) process.stdout.write(`the programs' logs are in ${logDir}\n`);
  return code ?? 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
