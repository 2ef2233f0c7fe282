/** What a webhook in trouble does to pods: nothing. They are created, late by its time limit at most. */
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Ca, createCa } from '../../fakes/certificates.ts';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { type FaultyWebhook, startFaultyWebhook } from '../faulty-webhook.ts';
import { install, trustAuthority } from '../install.ts';
import { createNamespace, getPod, podObject, podsPath, recordIn } from '../objects.ts';
import { PodAccount } from '../pod-account.ts';
import { type RunningWebhook, startWebhook, writeCertificate } from '../webhook-process.ts';

const NAMESPACE = 'faults';

let shared: Cluster;
let ca: Ca;
let account: PodAccount;
let faulty: FaultyWebhook | undefined;
let webhook: RunningWebhook | undefined;
let named = 0;

const api = () => shared.plane.api;
const annotations = { 'scx-slo.io/budget-ms': '50' };
const newPod = () => {
  named += 1;
  return podObject({ namespace: NAMESPACE, name: `pod-${named}`, annotations });
};

/** With kubectl. @returns the record in the stored pod */
const applyPod = async () => {
  const pod = newPod();
  const { code, stderr } = await shared.kubectl(['apply', '-f', '-'], [pod]);
  expect(code, stderr.join('\n')).toBe(0);
  return recordIn(await getPod(api(), NAMESPACE, pod.metadata.name ?? ''));
};

/** Whether the record is there for a pod that nobody stores. */
const dryRun = async () => {
  const answer = await api().create(`${podsPath(NAMESPACE)}?dryRun=All`, newPod());
  return Object.keys(recordIn(answer)).length > 0;
};

const secretDir = () => join(shared.dir, 'faults', 'tls');

const start = async () => {
  webhook = await startWebhook({
    account,
    secretDir: secretDir(),
    logFile: join(shared.logDir, 'webhook-faults.log'),
  });
  return webhook;
};

/** Resolves when the API server complains about it in these words. */
const complains = async (complaint: string) => {
  shared.plane.markApiServerLog();
  await eventually(`the API server says: ${complaint}`, async () => {
    await dryRun();
    return shared.plane.apiServerSaid(complaint);
  });
};

beforeEach(async () => {
  await trustAuthority(shared, ca.cert);
  await writeCertificate(secretDir(), ca);
});

beforeAll(async () => {
  shared = await cluster();
  await install(shared);
  account = await PodAccount.create(shared.plane, 'scx-slo-webhook', join(shared.dir, 'faults', 'account'));
  ca = await createCa('webhook CA');
  await createNamespace(shared.plane, NAMESPACE);
});

afterEach(async () => {
  await faulty?.stop();
  await webhook?.program.kill();
  [faulty, webhook] = [undefined, undefined];
});

afterAll(() => shared.plane.api.remove(`/api/v1/namespaces/${NAMESPACE}`));

describe('pods are created without a record', () => {
  it('while the webhook is down, and with one when it is back', async () => {
    const running = await start();
    await eventually('the webhook is called', dryRun);
    await running.program.kill();
    expect(await applyPod()).toEqual({});
    await start();
    expect(await applyPod()).toMatchObject({ 'effective.scx-slo.io/budget-ms': '50' });
  });

  const uidOf = (body: string): string => JSON.parse(body).request.uid;
  const review = (response: unknown) =>
    JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response });
  const json = (response: ServerResponse, text: string) =>
    response.setHeader('content-type', 'application/json').end(text);

  it.each<[string, (response: ServerResponse, body: string) => void]>([
    ['never answers', () => {}],
    [
      'answers after its time limit',
      (response, body) =>
        setTimeout(() => json(response, review({ uid: uidOf(body), allowed: true })), 4_000),
    ],
    [
      'answers one byte a second',
      (response) => {
        response.setHeader('content-type', 'application/json');
        const timer = setInterval(() => response.write(' '), 1_000);
        response.once('close', () => clearInterval(timer));
      },
    ],
    ['answers 500', (response) => response.writeHead(500).end('broken')],
    ['answers what is no JSON', (response) => json(response, '<html>')],
    ['answers another object', (response) => json(response, '{"apiVersion":"v1","kind":"Status"}')],
    ['answers for another request', (response) => json(response, review({ uid: 'another', allowed: false }))],
    ['closes the connection', (response) => response.destroy()],
  ])('when the webhook %s', async (_name, answer) => {
    const server = await startFaultyWebhook(ca, answer);
    faulty = server;
    await eventually('the webhook is called', async () => {
      await dryRun();
      return server.requests() > 0;
    });
    const before = server.requests();
    expect(await applyPod()).toEqual({});
    expect(server.requests()).toBeGreaterThan(before);
  });

  it('when the webhook has an expired certificate, and with one when that has been replaced', async () => {
    await writeCertificate(secretDir(), ca, { notAfter: new Date(Date.now() - 60_000) });
    const running = await start();
    await complains('certificate has expired');
    expect(await applyPod()).toEqual({});
    await writeCertificate(secretDir(), ca);
    await eventually('the new certificate serves', dryRun);
    expect(await applyPod()).toMatchObject({ 'effective.scx-slo.io/budget-ms': '50' });
    expect(await running.counted('scx_slo_webhook_certificate_reloads_total{result="loaded"}')).toBe(1);
  });

  it('when the API server was told of another authority, and with one when it has both', async () => {
    await start();
    const other = await createCa('another CA');
    await trustAuthority(shared, other.cert);
    await complains('certificate signed by unknown authority');
    expect(await applyPod()).toEqual({});
    // How an authority is replaced while pods are created: first both, then the new one.
    await trustAuthority(shared, `${other.cert}\n${ca.cert}`);
    await eventually('the webhook is called', dryRun);
    expect(await applyPod()).toMatchObject({ 'effective.scx-slo.io/budget-ms': '50' });
  });
});
