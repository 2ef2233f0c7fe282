import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCa } from '../test/fakes/certificates.ts';
import { FakeKubeApi } from '../test/fakes/kube-api.ts';
import { apiFailureText, failureOfResponse, isApiFailure, parseRetryAfterMs } from './api-failure.ts';
import { KubeConnection } from './connection.ts';
import { inClusterCredentials, kubeconfigCredentials } from './credentials.ts';

const NODE = '/api/v1/nodes/node-1';

let api: FakeKubeApi;
let connection: KubeConnection;
let directory = '';

const kubeconfig = (user: object, cluster: object = {}): string => {
  const file = join(directory, 'kubeconfig');
  const config = {
    clusters: [
      {
        name: 'c',
        cluster: { server: api.server, 'certificate-authority': join(api.directory, 'ca.crt'), ...cluster },
      },
    ],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
};

const withKubeconfig = async (user: object, cluster: object = {}): Promise<KubeConnection> => {
  connection.close();
  connection = new KubeConnection(await kubeconfigCredentials(kubeconfig(user, cluster)));
  return connection;
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'connection-'));
  api = await FakeKubeApi.start();
  api.store.apply('nodes', { kind: 'Node', metadata: { name: 'node-1' } });
  connection = new KubeConnection(api.credentials());
});

afterEach(async () => {
  connection.close();
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('a connection', () => {
  it('makes a hundred requests over one TLS connection', async () => {
    for (let i = 0; i < 100; i += 1)
      expect(await connection.json({ path: NODE })).toHaveProperty('kind', 'Node');
    expect(api.connections).toBe(1);
  });

  it('sends what it is given', async () => {
    await connection.json({
      method: 'PATCH',
      path: `${NODE}/status`,
      query: { fieldManager: 'test', force: undefined, empty: '' },
      contentType: 'application/strategic-merge-patch+json',
      body: { status: { text: 'ä' } },
    });
    const [seen] = api.seen('write');
    expect(seen?.method).toBe('PATCH');
    expect(String(seen?.query)).toBe('fieldManager=test');
    expect(seen?.headers['content-type']).toBe('application/strategic-merge-patch+json');
    expect(seen?.body).toEqual({ status: { text: 'ä' } });
  });

  it('answers with what the server says of an error', async () => {
    const missing = await connection.json({ path: '/api/v1/nodes/none' });
    expect(missing).toMatchObject({ failed: 'http', status: 404, reason: 'NotFound' });
    expect(isApiFailure(missing) && apiFailureText(missing)).toBe('not found (404, NotFound)');
  });

  it('ends a request that takes too long, and one that is stopped', async () => {
    api.fault = () => undefined;
    const slow = await connection.stream({ path: '/api/v1/pods', query: { watch: 'true' } });
    if (isApiFailure(slow)) throw new Error(slow.message);
    const ending = new AbortController();
    const watch = await connection.stream({
      path: '/api/v1/pods',
      query: { watch: 'true' },
      signal: ending.signal,
    });
    if (isApiFailure(watch)) throw new Error(watch.message);
    const read = watch.read(() => {});
    ending.abort();
    expect(await read).toMatchObject({ failed: 'stopped' });
    // A body that never ends.
    const timedOut = await connection.json({ path: '/api/v1/pods', query: { watch: 'true' }, timeoutMs: 50 });
    expect(timedOut).toMatchObject({ failed: 'timeout' });
    expect(await connection.json({ path: NODE, signal: ending.signal })).toMatchObject({ failed: 'stopped' });
  });

  it('asks again where the server closed the connection that was idle', async () => {
    await connection.json({ path: NODE });
    for (let i = 0; i < 5; i += 1) {
      api.breakConnections();
      expect(await connection.json({ path: NODE })).toHaveProperty('kind', 'Node');
    }
  });

  it('does not talk to a server that another authority vouches for', async () => {
    writeFileSync(join(api.directory, 'ca.crt'), (await createCa('somebody-else')).cert);
    expect(await connection.json({ path: NODE })).toMatchObject({ failed: 'network' });
    expect(api.requests).toEqual([]);
  });

  it('sends no token in the clear', () => {
    const credentials = { ...api.credentials(), server: 'http://127.0.0.1:8080' };
    expect(() => new KubeConnection(credentials)).toThrow('no https address');
  });

  it('is closed for good', async () => {
    await connection.json({ path: NODE });
    connection.close();
    expect(await connection.json({ path: NODE })).toMatchObject({ failed: 'credentials' });
  });

  it('takes a CA file that is no certificate for a failure', async () => {
    writeFileSync(join(api.directory, 'ca.crt'), 'no certificate');
    expect(isApiFailure(await connection.json({ path: NODE }))).toBe(true);
  });
});

describe('credentials', () => {
  it('are none outside a cluster', () => {
    expect(inClusterCredentials({})).toBeUndefined();
    expect(inClusterCredentials({ KUBERNETES_SERVICE_HOST: 'h' })).toBeUndefined();
  });

  it('put an IPv6 address in brackets', () => {
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    expect(inClusterCredentials(env)?.server).toBe('https://[fd00::1]:443');
  });

  it('of a kubeconfig with a token', async () => {
    const answer = await (await withKubeconfig({ token: 'token-1' })).json({ path: NODE });
    expect(answer).toHaveProperty('kind', 'Node');
  });

  it('of a kubeconfig whose token changed are read again after 401', async () => {
    const changing = await withKubeconfig({ token: 'token-1' });
    api.tokens.add('token-2').delete('token-1');
    kubeconfig({ token: 'token-2' });
    expect(await changing.json({ path: NODE })).toMatchObject({ status: 401 });
    expect(await changing.json({ path: NODE })).toHaveProperty('kind', 'Node');
  });

  it('of a kubeconfig with a token file beside it are read for each request', async () => {
    writeFileSync(join(directory, 'token'), 'token-1\n');
    const following = await withKubeconfig({ tokenFile: 'token' });
    expect(await following.json({ path: NODE })).toHaveProperty('kind', 'Node');
    api.tokens.add('token-2').delete('token-1');
    writeFileSync(join(directory, 'token'), 'token-2\n');
    expect(await following.json({ path: NODE })).toHaveProperty('kind', 'Node');
  });

  it('of a kubeconfig with a name and a password', async () => {
    const basic = await withKubeconfig({ username: 'me', password: 'secret' });
    expect(await basic.json({ path: NODE })).toMatchObject({ status: 401 });
    expect(api.requests[0]?.headers.authorization).toBe(`Basic ${btoa('me:secret')}`);
  });

  it('of a kubeconfig that runs a program for its token', async () => {
    const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential' };
    const output = JSON.stringify({ ...credential, status: { token: 'token-1' } });
    const exec = { apiVersion: credential.apiVersion, command: 'echo', args: [output] };
    expect(await (await withKubeconfig({ exec })).json({ path: NODE })).toHaveProperty('kind', 'Node');
  });

  it('of a kubeconfig that asks for a proxy are refused', async () => {
    const file = kubeconfig({ token: 'token-1' }, { 'proxy-url': 'http://127.0.0.1:1' });
    await expect(kubeconfigCredentials(file)).rejects.toThrow('proxy');
  });

  it('of a kubeconfig that is none are refused', async () => {
    const file = join(directory, 'none');
    await expect(kubeconfigCredentials(file)).rejects.toThrow('ENOENT');
    writeFileSync(file, '{"clusters": [], "users": [], "contexts": []}');
    await expect(kubeconfigCredentials(file)).rejects.toThrow('no current context');
  });
});

describe('a failure', () => {
  it.each([
    ['5', 5_000],
    ['100000000', 120_000],
    ['Thu, 01 Jan 1970 00:00:10 GMT', 9_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', undefined],
    ['-3', undefined],
    ['soon', undefined],
    ['', undefined],
  ])('with Retry-After "%s" waits %s ms', (header, ms) => {
    expect(parseRetryAfterMs(header, 1_000)).toBe(ms);
  });

  it('takes the wait from the body where no header has one', () => {
    const body = JSON.stringify({ kind: 'Status', message: 'busy', details: { retryAfterSeconds: 3 } });
    expect(failureOfResponse(429, {}, body, 0)).toMatchObject({ retryAfterMs: 3_000, message: 'busy' });
  });

  it('has some text whatever a proxy answered', () => {
    expect(failureOfResponse(502, {}, '<html>bad</html>', 0).message).toContain('<html>bad</html>');
    expect(failureOfResponse(502, {}, '', 0).message).toBe('HTTP status 502');
    expect(failureOfResponse(500, {}, 'x'.repeat(9_999), 0).message.length).toBeLessThan(400);
  });
});
