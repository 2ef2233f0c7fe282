import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubeConnection } from '../../kube/connection.ts';
import { FakeKubeApi, type Fault, type SeenRequest, statusBody } from '../../test/fakes/kube-api.ts';
import { DEFAULT_NAMES } from './cluster.ts';
import { keepCertificate } from './keep.ts';
import { mint, type ServingPair } from './mint.ts';
import { parseOptions } from './options.ts';
import { certificatesOf, pemOf } from './pem.ts';
import { type CertificateRules, planCertificate } from './plan.ts';

const HOUR_MS = 3600 * 1000;
const DAY_MS = 24 * HOUR_MS;
const HOST = 'scx-slo-webhook.scx-slo-system.svc';
const RULES: CertificateRules = {
  dnsNames: [HOST, `${HOST}.cluster.local`],
  renewBeforeMs: 30 * DAY_MS,
  reloadMs: 2 * HOUR_MS,
};
const NOTHING: ServingPair = { cert: '', key: '', ca: '' };
const START = new Date('2026-03-01T00:00:00Z');
const later = (ms: number): Date => new Date(START.getTime() + ms);
const minted = (now = START): Promise<ServingPair> => mint({ dnsNames: RULES.dnsNames, now, validDays: 90 });
const normal = (pem: string): string => pemOf(certificatesOf(pem));

/** A TLS 1.3 handshake as an API server makes it. @returns why it failed; undefined: it did not */
const handshake = async (pair: ServingPair, trusted: string): Promise<string | undefined> => {
  const server = createServer({ cert: pair.cert, key: pair.key, minVersion: 'TLSv1.3' });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const problem = await new Promise<string | undefined>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, ca: trusted, servername: HOST }, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  return problem;
};

describe('a minted pair', () => {
  it('is accepted by a TLS client that trusts its authority and no other', async () => {
    const [one, other] = [await minted(new Date()), await minted(new Date())];
    expect(await handshake(one, one.ca)).toBeUndefined();
    expect(await handshake(one, other.ca + one.ca)).toBeUndefined();
    expect(await handshake(one, other.ca)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  });

  it('is for the names of the Service, lasts 90 days, and can sign nothing', async () => {
    const pair = await minted();
    const leaf = new X509Certificate(pair.cert);
    expect(leaf.subjectAltName).toBe(`DNS:${HOST}, DNS:${HOST}.cluster.local`);
    expect(leaf.validToDate.getTime() - START.getTime()).toBe(90 * DAY_MS);
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(new X509Certificate(pair.ca).ca).toBe(true);
  });
});

describe('the plan', () => {
  it('makes a certificate where there is none, and where it is of no use', async () => {
    const [pair, other] = [await minted(), await minted()];
    const forOthers = await mint({ dnsNames: ['elsewhere.svc'], now: START, validDays: 90 });
    const why = (secret: ServingPair, now = START): string => {
      const plan = planCertificate({ secret, bundles: [''] }, RULES, now);
      return plan.kind === 'renew' ? `${plan.why}; serving ${plan.isServing}` : plan.kind;
    };
    expect(why(NOTHING)).toBe('there is no certificate yet; serving false');
    expect(why({ ...pair, cert: 'rubbish' })).toBe('there is no certificate yet; serving false');
    expect(why({ ...pair, key: other.key })).toMatch(/^the key does not belong/);
    expect(why({ ...pair, key: 'rubbish' })).toMatch(/^the key does not belong/);
    expect(why({ ...pair, ca: other.ca })).toMatch(/^the certificate is not signed by/);
    expect(why(forOthers)).toBe(`the certificate is not for ${HOST}; serving false`);
    expect(why(pair, later(-2 * HOUR_MS))).toMatch(/^the certificate begins on/);
    expect(why(pair, later(61 * DAY_MS))).toBe('the certificate ends in 29 days; serving true');
    expect(why(pair, later(91 * DAY_MS))).toMatch(/^the certificate expired on .*serving false/);
  });

  it('trusts the authority of a good certificate, and forgets others when no replica can serve them', async () => {
    const [pair, old] = [await minted(), await minted(later(-70 * DAY_MS))];
    const plan = (bundles: string[], now: Date) => planCertificate({ secret: pair, bundles }, RULES, now);
    expect(plan(['', normal(pair.ca)], START)).toMatchObject({ kind: 'trust', bundle: normal(pair.ca) });
    expect(plan([normal(pair.ca + old.ca)], later(30 * 60_000))).toMatchObject({ kind: 'nothing' });
    expect(plan([normal(pair.ca + old.ca)], later(3 * HOUR_MS))).toMatchObject({
      kind: 'trust',
      bundle: normal(pair.ca),
      why: 'an authority that no replica serves is still trusted',
    });
    expect(plan([normal(pair.ca)], later(3 * HOUR_MS))).toMatchObject({ kind: 'nothing' });
  });

  it('never stops trusting what a replica may be serving, and comes to rest', async () => {
    const pool = [await minted(later(-80 * DAY_MS)), await minted(later(-20 * DAY_MS)), await minted()];
    const pick = fc.constantFrom(...pool);
    const bundles = fc.array(fc.array(pick, { maxLength: 3 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(pick, bundles, fc.integer({ min: 0, max: 100 * 24 }), (secret, trusted, hours) => {
        const now = later(hours * HOUR_MS);
        const state = { secret, bundles: trusted.map((pairs) => pairs.map(({ ca }) => ca).join('')) };
        const plan = planCertificate(state, RULES, now);
        if (plan.kind === 'nothing') return;
        const bundle = plan.kind === 'trust' ? plan.bundle : plan.trusted;
        const isValid = new X509Certificate(secret.cert).validToDate > now;
        if (isValid) expect(bundle).toContain(normal(secret.ca));
        if (plan.kind === 'trust') {
          expect(planCertificate({ secret, bundles: [bundle] }, RULES, now).kind).toBe('nothing');
        }
      }),
    );
  });

  it('reads whatever stands in a bundle without a throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const damaged = `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
        expect(certificatesOf(text + damaged)).toEqual([]);
      }),
    );
  });
});

interface StoredWebhook {
  name: string;
  failurePolicy: string;
  clientConfig: { caBundle?: string; service: object };
}

interface Patch {
  metadata: { resourceVersion: string };
  data?: object;
  webhooks?: StoredWebhook[];
}

describe('keeping it in a cluster', () => {
  let server: FakeKubeApi;
  let api: KubeConnection;
  let conflicts: number;
  const log = pino({ level: 'silent' });
  const fromBase64 = (text: unknown): string => Buffer.from(String(text ?? ''), 'base64').toString();

  beforeEach(async () => {
    server = await FakeKubeApi.start();
    api = new KubeConnection(server.credentials());
    conflicts = 0;
    const { namespace, secret, configuration } = DEFAULT_NAMES;
    server.store.apply('secrets', { metadata: { name: secret, namespace }, type: 'Opaque' });
    server.store.apply('mutatingwebhookconfigurations', {
      metadata: { name: configuration },
      webhooks: [
        { name: 'pods.mutate.scx-slo.io', failurePolicy: 'Ignore', clientConfig: { service: { name: 'w' } } },
      ],
    });
    server.fault = (request) => (request.method === 'PATCH' ? merge(request) : undefined);
  });

  /** What the API server does with the two patches that we send: merges them, or says 409. */
  const merge = ({ path, body }: SeenRequest): Fault | undefined => {
    const patch = body as Patch;
    const resource = path.split('/').at(-2) ?? '';
    const namespace = resource === 'secrets' ? DEFAULT_NAMES.namespace : '';
    const stored = server.store.get(resource, path.split('/').at(-1) ?? '', namespace);
    if (stored === undefined) return { status: 404 };
    if (conflicts > 0 || patch.metadata.resourceVersion !== stored.metadata.resourceVersion) {
      conflicts -= 1;
      return { status: 409, body: statusBody(409, 'Conflict', 'the object has been modified') };
    }
    const data = { ...(stored.data as object), ...patch.data };
    const webhooks = (stored.webhooks as StoredWebhook[] | undefined)?.map((webhook) => {
      const change = patch.webhooks?.find(({ name }) => name === webhook.name);
      return { ...webhook, clientConfig: { ...webhook.clientConfig, ...change?.clientConfig } };
    });
    server.store.apply(resource, webhooks === undefined ? { ...stored, data } : { ...stored, webhooks });
    return undefined;
  };

  afterEach(async () => {
    api.close();
    await server.close();
  });

  const keep = (now: Date) =>
    keepCertificate(api, {
      names: DEFAULT_NAMES,
      rules: RULES,
      validDays: 90,
      settleMs: 0,
      log,
      now: () => now,
    });
  const served = (): ServingPair => {
    const data = server.store.get('secrets', DEFAULT_NAMES.secret, DEFAULT_NAMES.namespace)?.data as
      | Record<string, string>
      | undefined;
    return {
      cert: fromBase64(data?.['tls.crt']),
      key: fromBase64(data?.['tls.key']),
      ca: fromBase64(data?.['ca.crt']),
    };
  };
  const webhook = (): StoredWebhook | undefined => {
    const configuration = server.store.get('mutatingwebhookconfigurations', DEFAULT_NAMES.configuration);
    return (configuration?.webhooks as StoredWebhook[] | undefined)?.[0];
  };
  const trusted = (): string => fromBase64(webhook()?.clientConfig.caBundle);

  it('installs, does nothing while it is good, renews before the end, and forgets the old authority later', async () => {
    const now = Date.now();
    const at = (ms: number): Date => new Date(now + ms);
    expect(await keep(at(0))).toBe('renewed');
    const first = served();
    expect(await handshake(first, trusted())).toBeUndefined();
    expect(webhook()).toMatchObject({ failurePolicy: 'Ignore', clientConfig: { service: { name: 'w' } } });

    expect(await keep(at(0))).toBe('nothing');
    expect(await keep(at(DAY_MS))).toBe('nothing');
    expect(served()).toEqual(first);

    expect(await keep(at(61 * DAY_MS))).toBe('renewed');
    const second = served();
    expect(second.cert).not.toBe(first.cert);
    // Replicas that have not read the new one yet are trusted as well.
    expect(certificatesOf(trusted()).map(String)).toEqual(
      [second.ca, first.ca].flatMap(certificatesOf).map(String),
    );
    expect(await handshake(first, trusted())).toBeUndefined();

    expect(await keep(at(62 * DAY_MS))).toBe('trusted');
    expect(trusted()).toBe(normal(second.ca));
  });

  it('trusts the new authority before the new certificate is served', async () => {
    await keep(new Date());
    const writes = server.seen('write').map(({ path }) => path.split('/').at(-2));
    expect(writes).toEqual(['mutatingwebhookconfigurations', 'secrets']);
  });

  it('goes on where a run was cut off between the two', async () => {
    const now = new Date();
    const working = server.fault;
    server.fault = (request) =>
      request.method === 'PATCH' && request.path.includes('/secrets/') ? { status: 500 } : working(request);
    expect(await keep(now)).toMatchObject({ failed: 'http', status: 500 });
    expect(served()).toEqual(NOTHING);
    server.fault = working;
    expect(await keep(now)).toBe('renewed');
    expect(await handshake(served(), trusted())).toBeUndefined();
  });

  it('looks again when somebody else changed an object, and gives up in the end', async () => {
    conflicts = 2;
    expect(await keep(new Date())).toBe('renewed');
    expect(await handshake(served(), trusted())).toBeUndefined();
    conflicts = 1000;
    expect(await keep(new Date(Date.now() + 80 * DAY_MS))).toMatchObject({ status: 409 });
  });

  it('says what the API server refused', async () => {
    server.fault = () => ({ status: 403, body: statusBody(403, 'Forbidden', 'secrets is forbidden') });
    expect(await keep(new Date())).toMatchObject({ status: 403, reason: 'Forbidden' });
  });

  it('writes no key anywhere but into the Secret', async () => {
    await keep(new Date());
    expect(trusted()).not.toContain('PRIVATE KEY');
  });
});

describe('its options', () => {
  it('has defaults that fit the manifests', () => {
    expect(parseOptions([])).toMatchObject({
      names: DEFAULT_NAMES,
      dnsNames: RULES.dnsNames,
      validDays: 90,
      renewDays: 30,
    });
  });

  it.each([
    [['--valid-days', '1'], /valid-days/],
    [['--valid-days', '10', '--renew-days', '10'], /renew-days/],
    [['--namespace', 'Bad Name'], /namespace/],
    [['--settle-seconds', '-1'], /settle-seconds/],
    [['--nonsense'], /nonsense/],
  ])('refuses %j', (argv, problem) => {
    expect(parseOptions(argv)).toMatchObject({ error: expect.stringMatching(problem) });
  });
});
