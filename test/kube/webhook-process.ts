/** The real webhook where the API server looks for it, as a process with the account that it has in a pod. */
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ca, issue, type LeafRequest } from '../fakes/certificates.ts';
import { WEBHOOK_DNS_NAME, WEBHOOK_SERVICE_PORT } from './install.ts';
import { jsonLines } from './json-lines.ts';
import type { PodAccount } from './pod-account.ts';
import { Program } from './program.ts';

const BUNDLE = 'build/dist/webhook.mjs';
const START_LIMIT_MS = 30_000;

export interface RunningWebhook {
  program: Program;
  /** Value of a counter in /metrics; 0: there is none. */
  counted(line: string): Promise<number>;
  stop(): Promise<void>;
}

export interface WebhookStart {
  account: PodAccount;
  /** Of the Secret with the certificate. */
  secretDir: string;
  logFile: string;
}

export async function startWebhook({ account, secretDir, logFile }: WebhookStart): Promise<RunningWebhook> {
  const command = account.inPod([
    process.execPath,
    BUNDLE,
    ...['--cert', join(secretDir, 'tls.crt'), '--key', join(secretDir, 'tls.key')],
    ...['--port', String(WEBHOOK_SERVICE_PORT), '--health-port', '0', '--lame-duck', '0'],
  ]);
  const program = Program.start({ name: 'webhook', ...command, logFile });
  let healthPort = 0;
  await program.until(
    'it says that it serves',
    async () => {
      const serving = jsonLines(program.logText()).find((line) => line.msg === 'serving');
      healthPort = Number(serving?.healthPort);
      return serving !== undefined;
    },
    START_LIMIT_MS,
  );
  return {
    program,
    counted: async (line) => {
      const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
      const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
      return found === undefined ? 0 : Number(found.slice(line.length));
    },
    stop: () => program.stop(),
  };
}

/** A Secret's files as kubelet writes them: all change at once, because a link to their directory does. */
export function writeSecret(dir: string, files: Readonly<Record<string, string>>): void {
  const version = `..${process.hrtime.bigint()}`;
  mkdirSync(join(dir, version), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, version, name), text);
  symlinkSync(version, join(dir, '..data_tmp'));
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  for (const name of Object.keys(files)) link(`..data/${name}`, join(dir, name));
}

function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** As cert-manager would: the webhook's certificate from this authority. */
export async function writeCertificate(
  secretDir: string,
  ca: Ca,
  more: Pick<LeafRequest, 'notAfter'> = {},
): Promise<void> {
  const { cert, key } = await issue(ca, { dnsNames: [WEBHOOK_DNS_NAME], ...more });
  writeSecret(secretDir, { 'tls.crt': cert, 'tls.key': key });
}
