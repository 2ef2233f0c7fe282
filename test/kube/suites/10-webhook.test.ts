/** The real webhook behind a real API server, used with the real kubectl. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCa } from '../../fakes/certificates.ts';
import { type Cluster, cluster } from '../cluster.ts';
import { eventually } from '../eventually.ts';
import { install, trustAuthority } from '../install.ts';
import {
  annotationsOf,
  createNamespace,
  deploymentObject,
  getPod,
  podObject,
  podsPath,
  recordIn,
} from '../objects.ts';
import { PodAccount } from '../pod-account.ts';
import { type RunningWebhook, startWebhook, writeCertificate } from '../webhook-process.ts';

const NAMESPACE = 'shop';
const REPLICAS = 50;

let shared: Cluster;
let webhook: RunningWebhook;

const api = () => shared.plane.api;
const pod = (name: string, annotations: Record<string, string>, more = {}) =>
  podObject({ namespace: NAMESPACE, name, annotations, containers: ['app', 'log'], ...more });
const stored = (name: string) => getPod(api(), NAMESPACE, name);

/** Applies one object as a person does. */
const apply = async (object: unknown, ...flags: string[]) => {
  const result = await shared.kubectl(['apply', ...flags, '-f', '-'], [object]);
  expect(result.code, result.stderr.join('\n')).toBe(0);
  return result;
};

const failedAdmissions = () => webhook.counted('scx_slo_webhook_requests_total{decision="failed"}');

beforeAll(async () => {
  shared = await cluster();
  await install(shared);
  const ca = await createCa('webhook CA');
  const secretDir = join(shared.dir, 'webhook', 'tls');
  await writeCertificate(secretDir, ca);
  const account = await PodAccount.create(
    shared.plane,
    'scx-slo-webhook',
    join(shared.dir, 'webhook', 'account'),
  );
  webhook = await startWebhook({ account, secretDir, logFile: join(shared.logDir, 'webhook.log') });
  await createNamespace(shared.plane, NAMESPACE);
  await trustAuthority(shared, ca.cert);
  await eventually('the API server calls the webhook', async () => {
    const dryRun = pod('probe', { 'scx-slo.io/budget-ms': '50' });
    return (
      'effective.scx-slo.io/source' in
      annotationsOf(await api().create(`${podsPath(NAMESPACE)}?dryRun=All`, dryRun))
    );
  });
});

afterAll(async () => {
  await webhook.stop();
});

describe('a pod that kubectl applies', () => {
  it('is stored with the record of its SLO, and without a warning', async () => {
    const { warnings } = await apply(
      pod('good', { 'scx-slo.io/budget-ms': '50', 'scx-slo.io/importance': '80' }),
    );
    expect(warnings).toEqual([]);
    expect(recordIn(await stored('good'))).toEqual({
      'effective.scx-slo.io/budget-ms': '50',
      'effective.scx-slo.io/importance': '80',
      'effective.scx-slo.io/source': 'pod',
    });
  });

  it('is stored as it came when it has no SLO', async () => {
    await apply(pod('ordinary', { 'example.com/team': 'a' }));
    expect(recordIn(await stored('ordinary'))).toEqual({});
  });

  it('is stored with bad values, and kubectl shows key, value and range', async () => {
    const { warnings } = await apply(
      pod('bad', {
        'scx-slo.io/budget-ms': 'fast',
        'scx-slo.io/importance': '101',
        'scx-slo.io/bugdet-ms': '5',
      }),
    );
    expect(warnings).toEqual([
      'scx-slo.io/budget-ms: "fast" is not 1 .. 10000 (decimal ms); ignored',
      'scx-slo.io/importance: "101" is not 1 .. 100 (integer); ignored',
      'scx-slo.io/bugdet-ms: unknown key; ignored',
    ]);
    expect(annotationsOf(await stored('bad'))).toMatchObject({ 'scx-slo.io/budget-ms': 'fast' });
    expect(recordIn(await stored('bad'))).toEqual({});
  });

  it('cannot bring a record of its own', async () => {
    await apply(
      pod('forged', {
        'scx-slo.io/budget-ms': '50',
        'effective.scx-slo.io/budget-ms': '1',
        'effective.scx-slo.io/x': 'y',
      }),
    );
    expect(recordIn(await stored('forged'))).toEqual({
      'effective.scx-slo.io/budget-ms': '50',
      'effective.scx-slo.io/importance': '50',
      'effective.scx-slo.io/source': 'pod',
    });
  });

  it('gets a record for each container that differs', async () => {
    await apply(pod('override', { 'scx-slo.io/budget-ms': '50', 'budget-ms.scx-slo.io/log': '1000' }));
    expect(recordIn(await stored('override'))).toMatchObject({
      'effective.scx-slo.io/budget-ms': '50',
      'effective-budget-ms.scx-slo.io/log': '1000',
    });
  });

  it('gets the address of the signal in every container that asks for it', async () => {
    await apply(pod('inject', { 'scx-slo.io/budget-ms': '50', 'scx-slo.io/inject': 'endpoint' }));
    const { containers } = (await stored('inject')).spec as { containers: { env?: { name: string }[] }[] };
    expect(containers.map(({ env = [] }) => env.map(({ name }) => name))).toEqual([
      ['SCX_SLO_ENDPOINT'],
      ['SCX_SLO_ENDPOINT'],
    ]);
  });

  it('is answered the same in a dry run of the server, which stores nothing', async () => {
    const { stdout } = await apply(
      pod('dry', { 'scx-slo.io/budget-ms': '20' }),
      '--dry-run=server',
      '-o',
      'json',
    );
    expect(recordIn(JSON.parse(stdout))).toMatchObject({ 'effective.scx-slo.io/budget-ms': '20' });
    expect((await api().send('GET', `${podsPath(NAMESPACE)}/dry`)).status).toBe(404);
  });

  it('is left alone with the opt-out label, on the pod or on its namespace', async () => {
    const labels = { 'scx-slo.io/webhook': 'disabled' };
    await apply(pod('opted-out', { 'scx-slo.io/budget-ms': '50' }, { labels }));
    expect(recordIn(await stored('opted-out'))).toEqual({});
    await createNamespace(shared.plane, 'opted-out', { labels });
    await apply(
      podObject({ namespace: 'opted-out', name: 'pod', annotations: { 'scx-slo.io/budget-ms': '50' } }),
    );
    expect(recordIn(await getPod(api(), 'opted-out', 'pod'))).toEqual({});
  });
});

describe('a pod in a namespace with caps', () => {
  const caps = { 'caps.scx-slo.io/max-importance': '60', 'caps.scx-slo.io/min-budget-ms': '30' };
  const greedy = { 'scx-slo.io/budget-ms': '5', 'scx-slo.io/importance': '95' };

  it('is cut to them, and kubectl says so', async () => {
    await createNamespace(shared.plane, 'capped-shop', { annotations: caps });
    const { warnings } = await apply(
      podObject({ namespace: 'capped-shop', name: 'greedy', annotations: greedy }),
    );
    expect(recordIn(await getPod(api(), 'capped-shop', 'greedy'))).toEqual({
      'effective.scx-slo.io/budget-ms': '30',
      'effective.scx-slo.io/importance': '60',
      'effective.scx-slo.io/source': 'pod',
      'effective.scx-slo.io/clamped': 'budget-ms:5>30,importance:95>60',
    });
    expect(warnings).toEqual([expect.stringContaining('30'), expect.stringContaining('60')]);
  });

  it('is cut to the caps of today', async () => {
    await api().patch('/api/v1/namespaces/capped-shop', {
      metadata: { annotations: { 'caps.scx-slo.io/max-importance': '70' } },
    });
    const dryRun = () =>
      api().create(
        `${podsPath('capped-shop')}?dryRun=All`,
        podObject({ namespace: 'capped-shop', name: 'later', annotations: greedy }),
      );
    await eventually(
      'the new cap',
      async () => recordIn(await dryRun())['effective.scx-slo.io/importance'] === '70',
    );
  });
});

describe('a pod that is changed', () => {
  it('gets a new record with kubectl annotate, and loses it with the SLO', async () => {
    await apply(pod('edited', { 'scx-slo.io/budget-ms': '50' }));
    const annotate = (...words: string[]) =>
      shared.kubectl(['-n', NAMESPACE, 'annotate', 'pod', 'edited', ...words]);
    expect(await annotate('--overwrite', 'scx-slo.io/budget-ms=20')).toMatchObject({ code: 0, warnings: [] });
    expect(recordIn(await stored('edited'))).toMatchObject({ 'effective.scx-slo.io/budget-ms': '20' });
    expect(await annotate('scx-slo.io/budget-ms-')).toMatchObject({ code: 0 });
    expect(recordIn(await stored('edited'))).toEqual({});
  });

  it('is not hindered when it goes', async () => {
    await apply(pod('going', { 'scx-slo.io/budget-ms': '50' }));
    expect(await shared.kubectl(['-n', NAMESPACE, 'delete', 'pod', 'going'])).toMatchObject({ code: 0 });
    expect((await api().send('GET', `${podsPath(NAMESPACE)}/going`)).status).toBe(404);
  });
});

describe(`a Deployment with ${REPLICAS} replicas`, () => {
  it('has the record in every pod', async (context) => {
    if (!shared.plane.hasControllers) context.skip('no kube-controller-manager beside this API server');
    const annotations = { 'scx-slo.io/budget-ms': '50', 'scx-slo.io/importance': '80' };
    await apply(deploymentObject(NAMESPACE, 'many', REPLICAS, annotations));
    const pods = await eventually(`${REPLICAS} pods`, async () => {
      const found = await api().list(`${podsPath(NAMESPACE)}?labelSelector=app%3Dmany`);
      return found.length === REPLICAS ? found : undefined;
    });
    const record = {
      'effective.scx-slo.io/budget-ms': '50',
      'effective.scx-slo.io/importance': '80',
      'effective.scx-slo.io/source': 'pod',
    };
    expect(pods.map(recordIn)).toEqual(pods.map(() => record));
    expect(await failedAdmissions()).toBe(0);
    await api().remove(`/apis/apps/v1/namespaces/${NAMESPACE}/deployments/many`);
  });
});
