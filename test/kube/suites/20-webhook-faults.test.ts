/** What a webhook in trouble does to pods: nothing. They are created, late by its time limit at most. */
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Ca, createCa } from '../../fakes/certificates.ts';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { type FaultyWebhook, startFaultyWebhook } from '../faulty-webhook.ts';
import { createNamespace, getPod, podObject, podsPath, recordIn } from '../objects.ts';
import { registerWebhook, removeWebhook } from '../webhook-configuration.ts';
import { type RunningWebhook, startWebhook, writeCertificate } from '../webhook-process.ts';

const NAMESPACE = 'faults';

let shared: Cluster;
let ca: Ca;
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

const start = async (dir: string, notAfter?: Date) => {
  const certificate = notAfter === undefined ? {} : { notAfter };
  webhook = await startWebhook({ dir, logFile: join(shared.logDir, 'webhook-faults.log'), ca, certificate });
  return webhook;
};

/** Resolves when the API server complains about it in these words. */
const register = async (url: string, caCert: string, complaint: string) => {
  shared.plane.markApiServerLog();
  await registerWebhook(api(), { url, ca: caCert });
  await eventually(`the API server says: ${complaint}`, async () => {
    await dryRun();
    return shared.plane.apiServerSaid(complaint);
  });
};

beforeAll(async () => {
  shared = await cluster();
  ca = await createCa('webhook CA');
  await createNamespace(shared.plane, NAMESPACE);
});

afterEach(async () => {
  await removeWebhook(api());
  await faulty?.stop();
  await webhook?.program.kill();
  [faulty, webhook] = [undefined, undefined];
});

afterAll(() => shared.plane.api.remove(`/api/v1/namespaces/${NAMESPACE}`));

describe('pods are created without a record', () => {
  it('while the webhook is down, and with one when it is back', async () => {
    const dir = join(shared.dir, 'down');
    const running = await start(dir);
    await registerWebhook(api(), { url: running.url, ca: ca.cert });
    await eventually('the webhook is called', dryRun);
    await running.program.kill();
    expect(await applyPod()).toEqual({});
    const again = await start(dir);
    await registerWebhook(api(), { url: again.url, ca: ca.cert });
    await eventually('the webhook is called again', dryRun);
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
    await registerWebhook(api(), { url: server.url, ca: ca.cert });
    await eventually('the webhook is called', async () => {
      await dryRun();
      return server.requests() > 0;
    });
    const before = server.requests();
    expect(await applyPod()).toEqual({});
    expect(server.requests()).toBeGreaterThan(before);
  });

  it('when the webhook has an expired certificate, and with one when that has been replaced', async () => {
    const dir = join(shared.dir, 'expired');
    const running = await start(dir, new Date(Date.now() - 60_000));
    await register(running.url, ca.cert, 'certificate has expired');
    expect(await applyPod()).toEqual({});
    await writeCertificate(dir, ca);
    await eventually('the new certificate serves', dryRun);
    expect(await applyPod()).toMatchObject({ 'effective.scx-slo.io/budget-ms': '50' });
    expect(await running.counted('scx_slo_webhook_certificate_reloads_total{result="loaded"}')).toBe(1);
  });

  it('when the API server was told of another authority, and with one when it has both', async () => {
    const running = await start(join(shared.dir, 'authority'));
    const other = await createCa('another CA');
    await register(running.url, other.cert, 'certificate signed by unknown authority');
    expect(await applyPod()).toEqual({});
    // How an authority is replaced while pods are created: first both, then the new one.
    await registerWebhook(api(), { url: running.url, ca: `${other.cert}\n${ca.cert}` });
    await eventually('the webhook is called', dryRun);
    expect(await applyPod()).toMatchObject({ 'effective.scx-slo.io/budget-ms': '50' });
  });
});
