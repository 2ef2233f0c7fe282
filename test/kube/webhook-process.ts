/** The real webhook as a process of its own, with a certificate that the test chooses. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ca, issue, type LeafRequest } from '../fakes/certificates.ts';
import { jsonLines } from './json-lines.ts';
import { Program } from './program.ts';

const BUNDLE = 'build/dist/webhook.mjs';
const START_LIMIT_MS = 30_000;

export interface RunningWebhook {
  url: string;
  program: Program;
  /** Value of a counter in /metrics; 0: there is none. */
  counted(line: string): Promise<number>;
  stop(): Promise<void>;
}

export interface WebhookStart {
  dir: string;
  logFile: string;
  ca: Ca;
  certificate?: Pick<LeafRequest, 'notAfter'>;
}

export async function startWebhook({
  dir,
  logFile,
  ca,
  certificate = {},
}: WebhookStart): Promise<RunningWebhook> {
  const files = await writeCertificate(dir, ca, certificate);
  const program = Program.start({
    name: 'webhook',
    command: process.execPath,
    args: [
      BUNDLE,
      ...['--cert', files.cert, '--key', files.key, '--host', '127.0.0.1'],
      ...['--port', '0', '--health-port', '0', '--lame-duck', '0'],
    ],
    logFile,
  });
  let serving: { port: number; healthPort: number } | undefined;
  await program.until(
    'it says that it serves',
    async () => {
      serving = jsonLines(program.logText()).find((line) => line.msg === 'serving') as typeof serving;
      return serving !== undefined;
    },
    START_LIMIT_MS,
  );
  const { port, healthPort } = serving ?? { port: 0, healthPort: 0 };
  return {
    url: `https://127.0.0.1:${port}/mutate`,
    program,
    counted: async (line) => {
      const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
      const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
      return found === undefined ? 0 : Number(found.slice(line.length));
    },
    stop: () => program.stop(),
  };
}

/** Also over one that is being served. */
export async function writeCertificate(
  dir: string,
  ca: Ca,
  more: Pick<LeafRequest, 'notAfter'> = {},
): Promise<{ cert: string; key: string }> {
  mkdirSync(dir, { recursive: true });
  const pair = await issue(ca, { ips: ['127.0.0.1'], ...more });
  const files = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') };
  writeFileSync(files.cert, pair.cert);
  writeFileSync(files.key, pair.key);
  return files;
}
