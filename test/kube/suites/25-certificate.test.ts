/** Our own certificate job against a real API server: pods are recorded before, while and after it replaces everything. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { install } from '../install.ts';
import { createNamespace, podObject, podsPath, recordIn } from '../objects.ts';
import { PodAccount, SYSTEM_NAMESPACE } from '../pod-account.ts';
import { Program } from '../program.ts';
import { type RunningWebhook, startWebhook, writeSecret } from '../webhook-process.ts';

const NAMESPACE = 'certificate';
const SECRET = `/api/v1/namespaces/${SYSTEM_NAMESPACE}/secrets/scx-slo-webhook-tls`;
const JOB_LIMIT_MS = 60_000;
/** Between two pods while the certificate is replaced. */
const PAUSE_MS = 50;
const KUBELET_MS = 500;
/** The webhook looks at its files every 5 s. */
const AFTER_MS = 7_000;

let shared: Cluster;
let webhook: RunningWebhook | undefined;
let account: PodAccount;
let secretDir: string;

/** The command that the Job runs, with its account. */
const runJob = async (...flags: string[]) => {
  const command = account.inPod([
    process.execPath,
    'build/dist/webhook-certificate.mjs',
    '--settle-seconds',
    '2',
    ...flags,
  ]);
  const job = Program.start({
    name: 'webhook-certificate',
    ...command,
    logFile: join(shared.logDir, 'webhook-certificate.log'),
  });
  await eventually('the job has ended', async () => !job.running, JOB_LIMIT_MS);
  expect(job.exitCode, job.logTail()).toBe(0);
};

/** What kubelet does with the Secret. @returns the certificate */
const mountSecret = async () => {
  const { data = {} } = await shared.plane.api.get<{ data?: Record<string, string> }>(SECRET);
  const files = Object.entries(data).map(
    ([name, text]) => [name, Buffer.from(text, 'base64').toString()] as const,
  );
  writeSecret(secretDir, Object.fromEntries(files));
  return Buffer.from(data['tls.crt'] ?? '', 'base64').toString();
};

const hasRecord = async () => {
  const pod = podObject({ namespace: NAMESPACE, name: 'pod', annotations: { 'scx-slo.io/budget-ms': '50' } });
  const answer = await shared.plane.api.create(`${podsPath(NAMESPACE)}?dryRun=All`, pod);
  return 'effective.scx-slo.io/budget-ms' in recordIn(answer);
};

beforeAll(async () => {
  shared = await cluster();
  await install(shared);
  const dir = join(shared.dir, 'certificate');
  secretDir = join(dir, 'tls');
  account = await PodAccount.create(shared.plane, 'scx-slo-webhook-certificate', join(dir, 'job'));
  await createNamespace(shared.plane, NAMESPACE);
});

afterAll(async () => {
  await webhook?.stop();
});

describe('the certificate job', () => {
  it('makes a certificate that API servers trust', async () => {
    await runJob();
    await mountSecret();
    const webhookAccount = await PodAccount.create(
      shared.plane,
      'scx-slo-webhook',
      join(shared.dir, 'certificate', 'webhook'),
    );
    webhook = await startWebhook({
      account: webhookAccount,
      secretDir,
      logFile: join(shared.logDir, 'webhook-certificate-webhook.log'),
    });
    await eventually('pods have a record', hasRecord);
  });

  it('leaves a good one as it is', async () => {
    const before = await mountSecret();
    await runJob();
    expect(await mountSecret()).toBe(before);
  });

  it('replaces certificate and authority without one pod that misses its record', async () => {
    const before = await mountSecret();
    let isOver = false;
    let [pods, missed] = [0, 0];
    const until = async (pauseMs: number, turn: () => Promise<void>) => {
      for (; !isOver; await sleep(pauseMs)) await turn();
    };
    const traffic = until(PAUSE_MS, async () => {
      pods += 1;
      if (!(await hasRecord())) missed += 1;
    });
    const kubelet = until(KUBELET_MS, async () => void (await mountSecret()));
    try {
      // It is good for 90 days, so less than what is asked for is left.
      await runJob('--valid-days', '365', '--renew-days', '364');
      await sleep(AFTER_MS);
    } finally {
      isOver = true;
      await Promise.all([traffic, kubelet]);
    }
    expect(await mountSecret()).not.toBe(before);
    expect(await webhook?.counted('scx_slo_webhook_certificate_reloads_total{result="loaded"}')).toBe(1);
    expect(pods).toBeGreaterThan(50);
    expect(missed).toBe(0);
  });
});
