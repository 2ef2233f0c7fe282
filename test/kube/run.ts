// node test/kube/run.ts [SUITE...] : runs the suites of test/kube/suites (parts of their names) against a real control
// plane, and writes build/test/kube.xml; the logs of all programs are in build/kube/logs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubectlProgram, programsDir } from './programs.ts';

const LOG_DIR = 'build/kube/logs';

async function main(suites: readonly string[]): Promise<number> {
  const [programs, kubectl] = [programsDir(), kubectlProgram()];
  rmSync(LOG_DIR, { recursive: true, force: true });
  mkdirSync(LOG_DIR, { recursive: true });
  const dir = mkdtempSync(join(tmpdir(), 'scx-slo-kube-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const args = [process.execPath, vitest, 'run', '--config', 'test/kube/vitest.kube.config.ts', ...suites];
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...args], {
    stdio: 'inherit',
    env: {
      ...process.env,
      SCX_SLO_KUBE_PROGRAMS: programs,
      SCX_SLO_KUBE_KUBECTL: kubectl,
      SCX_SLO_KUBE_DIR: dir,
      SCX_SLO_KUBE_LOGS: LOG_DIR,
    },
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) process.stdout.write(`the programs' logs are in ${LOG_DIR}\n`);
  return code ?? 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
