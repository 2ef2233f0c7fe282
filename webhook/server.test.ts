import { get as httpGet, type IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Ca, createCa, issue } from '../test/fakes/certificates.ts';
import { SecretVolume } from '../test/fakes/secret-volume.ts';
import { ADMISSION_FIXTURES, admissionFixture } from '../test/fixtures/admission.ts';
import { DEFAULT_POLICY } from './mutate.ts';
import { startWebhook, type Webhook, type WebhookOptions } from './server.ts';

const POLL_MS = 30;
let ca: Ca;
const cleanups: (() => void | Promise<void>)[] = [];

beforeAll(async () => {
  ca = await createCa('test CA');
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) {
    await cleanup();
  }
});

const newPair = (notAfter?: Date) =>
  issue(ca, { dnsNames: ['localhost'], ips: ['127.0.0.1'], ...(notAfter ? { notAfter } : {}) });

async function start(pair?: { cert: string; key: string }, changed: Partial<WebhookOptions> = {}) {
  const volume = new SecretVolume(pair ?? (await newPair()));
  cleanups.push(() => volume.remove());
  const lines: string[] = [];
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const options = {
    certFile: volume.certFile,
    keyFile: volume.keyFile,
    host: '127.0.0.1',
    port: 0,
    healthPort: 0,
    certificatePollMs: POLL_MS,
    namespaceGraceMs: 0,
    requestMs: 10_000,
    connectionsMax: 100,
    lameDuckMs: 0,
    closeMs: 2000,
    ...changed,
  };
  const webhook = await startWebhook(options, DEFAULT_POLICY, pino({ level: 'debug' }, sink));
  if (typeof webhook === 'string') {
    throw new Error(webhook);
  }
  cleanups.push(() => webhook.drain());
  return { webhook, volume, lines, options };
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
  serial: string;
  protocol: string | null;
  localPort: number | undefined;
}

interface Call {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  agent?: Agent;
  maxVersion?: 'TLSv1.2';
}

function call(webhook: Webhook, body: string | Buffer, options: Call = {}): Promise<Answer> {
  const { method = 'POST', path = '/mutate', headers = {}, agent = new Agent(), maxVersion } = options;
  return new Promise((resolve, reject) => {
    const req = request(
      {
        host: '127.0.0.1',
        port: webhook.port,
        ca: ca.cert,
        method,
        path,
        agent,
        ...(maxVersion === undefined ? {} : { maxVersion }),
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          ...headers,
        },
      },
      (res) => {
        const socket = res.socket as TLSSocket;
        const serial = socket.getPeerCertificate().serialNumber;
        const { localPort } = socket;
        const protocol = socket.getProtocol();
        let text = '';
        res.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        res.on('end', () =>
          resolve({ status: res.statusCode ?? 0, headers: res.headers, text, serial, protocol, localPort }),
        );
      },
    );
    req.on('error', reject).end(body);
  });
}

function health(webhook: Webhook, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    httpGet({ host: '127.0.0.1', port: webhook.healthPort, path, agent: false }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, text }));
    }).on('error', reject);
  });
}

const CREATE = JSON.stringify(admissionFixture('create'));

async function eventually(what: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await what())) {
    expect(Date.now()).toBeLessThan(deadline);
    await sleep(10);
  }
}

describe('webhook over TLS', () => {
  it('answers every fixture with a review or a plain 4xx, and counts them', async () => {
    const { webhook, lines } = await start();
    for (const name of ADMISSION_FIXTURES) {
      const answer = await call(webhook, JSON.stringify(admissionFixture(name)));
      if (name.startsWith('bad')) {
        expect(answer.status).toBe(400);
        expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
      } else {
        expect(answer.status).toBe(200);
        expect(JSON.parse(answer.text)).toMatchObject({
          response: { uid: '0df28fbd-5f5f-11e8-bc74-36e6bb280816', allowed: true },
        });
      }
      expect(answer.protocol).toBe('TLSv1.3');
      expect(answer.headers).not.toHaveProperty('x-powered-by');
      expect(answer.headers).not.toHaveProperty('etag');
    }
    const { text } = await health(webhook, '/metrics');
    expect(text).toMatch(/scx_slo_webhook_requests_total\{decision="skipped"\} 6\n/);
    expect(text).toMatch(/scx_slo_webhook_requests_total\{decision="refused"\} 4\n/);
    expect(text).toMatch(/scx_slo_webhook_requests_total\{decision="failed"\} 0\n/);
    const counted = ADMISSION_FIXTURES.filter((name) => !name.startsWith('bad')).length;
    expect(text).toContain(`scx_slo_webhook_duration_seconds_count ${counted}\n`);
    expect(text).toContain('scx_slo_build_info{component="webhook",version="dev"} 1');
    expect(lines.join('')).not.toContain('correct-horse-battery-staple');
  });

  it('refuses TLS 1.2', async () => {
    const { webhook } = await start();
    await expect(call(webhook, CREATE, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version|alert/i);
  });

  it.each<[string, number, string | Buffer, Call]>([
    ['an empty body', 400, '', {}],
    ['no JSON', 400, '{"kind": <secret>', {}],
    ['a JSON string', 400, '"text"', {}],
    ['a list', 400, '[]', {}],
    ['bytes', 400, Buffer.from([0xff, 0xfe, 0x00, 0x01]), {}],
    ['text/plain', 415, CREATE, { headers: { 'content-type': 'text/plain' } }],
    ['no content type', 415, CREATE, { headers: { 'content-type': '' } }],
    ['gzip', 415, gzipSync(CREATE), { headers: { 'content-encoding': 'gzip' } }],
    ['4 MB', 413, `{"a":"${'x'.repeat(4_000_000)}"}`, {}],
    ['GET', 405, '', { method: 'GET' }],
    ['another path', 404, CREATE, { path: '/validate' }],
    ['a path that does not decode', 404, CREATE, { path: '/%zz' }],
  ])('answers %s with a plain %d', async (_what, status, body, options) => {
    const { webhook, lines } = await start();
    const answer = await call(webhook, body, options);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(answer.text.length).toBeLessThan(120);
    expect(answer.text + lines.join('')).not.toContain('secret');
    expect((await call(webhook, CREATE)).status).toBe(200);
  });

  it('takes an object as large as etcd allows, twice', async () => {
    const { webhook } = await start();
    const body = JSON.parse(CREATE);
    body.request.object.metadata.annotations.big = 'x'.repeat(1_400_000);
    body.request.oldObject = body.request.object;
    expect((await call(webhook, JSON.stringify(body))).status).toBe(200);
  });
});

/** A TLS connection on which nothing was said yet. */
function connect(
  webhook: Webhook,
): Promise<{ socket: TLSSocket; closed: () => boolean; received: () => string }> {
  return new Promise((resolve, reject) => {
    let closed = false;
    let received = '';
    const socket = tlsConnect({ host: '127.0.0.1', port: webhook.port, ca: ca.cert }, () =>
      resolve({ socket, closed: () => closed, received: () => received }),
    );
    socket.on('data', (chunk) => {
      received += chunk;
    });
    socket.on('error', reject).on('close', () => {
      closed = true;
    });
    cleanups.push(() => void socket.destroy());
  });
}

const HEAD = `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(CREATE)}\r\n\r\n`;

async function connectAndAsk(webhook: Webhook): ReturnType<typeof connect> {
  const connection = await connect(webhook);
  connection.socket.write(HEAD + CREATE);
  await eventually(() => connection.received().includes('"uid"'));
  return connection;
}

describe('connections', () => {
  it('closes those whose request does not arrive, head or body, and keeps those that were never used', async () => {
    const { webhook } = await start(undefined, { requestMs: 200 });
    const unused = await connect(webhook);
    const slowHead = await connect(webhook);
    slowHead.socket.write(HEAD.slice(0, 20));
    const slowBody = await connect(webhook);
    slowBody.socket.write(HEAD + CREATE.slice(0, 20));
    await eventually(() => slowHead.closed() && slowBody.closed());
    expect((await health(webhook, '/metrics')).text).toContain(
      'scx_slo_webhook_connections_closed_total{reason="slow"} 2',
    );
    unused.socket.write(HEAD + CREATE);
    await eventually(() => unused.received().startsWith('HTTP/1.1 200 OK'));
    await sleep(500);
    expect(unused.closed()).toBe(false);
  });

  it('makes room for a new one by closing one that was never used, then the longest idle one', async () => {
    const { webhook } = await start(undefined, { connectionsMax: 3 });
    const used = [await connectAndAsk(webhook), await connectAndAsk(webhook)];
    const unused = await connect(webhook);
    used.push(await connectAndAsk(webhook));
    await eventually(() => unused.closed());
    expect(used.map(({ closed }) => closed())).toEqual([false, false, false]);
    used.push(await connectAndAsk(webhook));
    await eventually(() => used[0]?.closed() === true);
    expect(used.slice(1).map(({ closed }) => closed())).toEqual([false, false, false]);
    const { text } = await health(webhook, '/metrics');
    expect(text).toMatch(/scx_slo_webhook_connections 3\n/);
    expect(text).toContain('scx_slo_webhook_connections_closed_total{reason="crowded"} 2');
  });

  it('refuses heads larger than 8 KiB and lives on', async () => {
    const { webhook } = await start();
    expect((await call(webhook, CREATE, { headers: { 'x-filler': 'x'.repeat(9000) } })).status).toBe(431);
    expect((await call(webhook, CREATE)).status).toBe(200);
  });

  it('does not hold more bodies than fit, and says when to come again', async () => {
    const { webhook } = await start();
    const head = HEAD.replace(/length: \d+/, `length: ${3 * 1024 * 1024}`);
    const many = await Promise.all(Array.from({ length: 4 }, () => connect(webhook)));
    for (const { socket } of many) {
      socket.write(`${head}{`);
    }
    await eventually(async () => (await call(webhook, CREATE)).status === 503);
    expect((await call(webhook, CREATE)).headers['retry-after']).toBe('1');
    for (const { socket } of many) {
      socket.destroy();
    }
    await eventually(async () => (await call(webhook, CREATE)).status === 200);
  });

  it('takes JSON as deep as it has values, and refuses more values than a heap has room for', async () => {
    const { webhook } = await start();
    const { request } = admissionFixture('create') as { request: object };
    const review = JSON.stringify({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: { ...request, object: 0 },
    });
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    const answer = await call(webhook, review.replace('"object":0', `"object":${nested(240_000)}`));
    expect([answer.status, JSON.parse(answer.text).response.allowed]).toEqual([200, true]);
    expect((await call(webhook, nested(240_000))).status).toBe(400);
    for (const many of [nested(1_400_000), `[${'{},'.repeat(1_000_000)}{}]`]) {
      expect((await call(webhook, review.replace('"object":0', `"object":${many}`))).status).toBe(413);
    }
    expect((await call(webhook, CREATE)).status).toBe(200);
  });
});

describe('certificate reload', () => {
  it('serves a swapped pair on new connections and keeps the open ones', async () => {
    const { webhook, volume } = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanups.push(() => agent.destroy());
    const before = await call(webhook, CREATE, { agent });
    volume.swap(await newPair());
    await eventually(async () => (await call(webhook, CREATE)).serial !== before.serial);
    const kept = await call(webhook, CREATE, { agent });
    expect([kept.localPort, kept.serial]).toEqual([before.localPort, before.serial]);
    expect((await health(webhook, '/metrics')).text).toContain(
      'scx_slo_webhook_certificate_reloads_total{result="loaded"} 1',
    );
  });

  it('keeps the old pair beside a mismatched one, says so once, and takes the next good one', async () => {
    const { webhook, volume, lines } = await start();
    const { serial } = await call(webhook, CREATE);
    volume.swap({ cert: (await newPair()).cert, key: (await newPair()).key });
    const refusals = () => lines.filter((line) => line.includes('is not the key of'));
    await eventually(() => refusals().length > 0);
    await sleep(10 * POLL_MS);
    expect(refusals()).toHaveLength(1);
    expect((await call(webhook, CREATE)).serial).toBe(serial);
    volume.swap(await newPair());
    await eventually(async () => (await call(webhook, CREATE)).serial !== serial);
  });

  it('survives files that vanish', async () => {
    const { webhook, volume, lines } = await start();
    volume.empty();
    await eventually(() => lines.some((line) => line.includes('ENOENT')));
    expect((await call(webhook, CREATE)).status).toBe(200);
  });

  it('is not ready with an expired certificate', async () => {
    const { webhook, volume } = await start(await newPair(new Date(Date.now() - 1000)));
    expect(await health(webhook, '/readyz')).toEqual({ status: 503, text: 'the certificate has expired\n' });
    volume.swap(await newPair());
    await eventually(async () => (await health(webhook, '/readyz')).status === 200);
  });
});

describe('life cycle', () => {
  it('is alive and ready', async () => {
    const { webhook } = await start();
    expect(await health(webhook, '/healthz')).toEqual({ status: 200, text: 'ok\n' });
    expect(await health(webhook, '/readyz')).toEqual({ status: 200, text: 'ok\n' });
    expect((await health(webhook, '/mutate')).status).toBe(404);
  });

  it('keeps serving while it is a lame duck, then closes kept connections', async () => {
    const { webhook } = await start(undefined, { lameDuckMs: 300 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanups.push(() => agent.destroy());
    const first = await call(webhook, CREATE, { agent });
    expect(first.headers.connection).toBe('keep-alive');
    const started = performance.now();
    const drained = webhook.drain();
    expect((await health(webhook, '/readyz')).text).toBe('shutting down\n');
    const during = await call(webhook, CREATE, { agent });
    expect([during.status, during.headers.connection]).toEqual([200, 'close']);
    await drained;
    expect(performance.now() - started).toBeLessThan(2000);
    await expect(call(webhook, CREATE)).rejects.toThrow('ECONNREFUSED');
    await expect(health(webhook, '/healthz')).rejects.toThrow('ECONNREFUSED');
  });

  it('says why it cannot start', async () => {
    const { webhook, options } = await start();
    const log = pino({ level: 'silent' });
    expect(await startWebhook({ ...options, port: webhook.port }, DEFAULT_POLICY, log)).toBe(
      `cannot listen on 127.0.0.1 port ${webhook.port}: EADDRINUSE`,
    );
    expect(await startWebhook({ ...options, certFile: '/nowhere/tls.crt' }, DEFAULT_POLICY, log)).toMatch(
      /ENOENT.*tls\.crt/,
    );
    expect(await startWebhook({ ...options, certFile: tmpdir() }, DEFAULT_POLICY, log)).toMatch(
      /is not a PEM file$/,
    );
    expect(await startWebhook({ ...options, keyFile: options.certFile }, DEFAULT_POLICY, log)).toMatch(
      /is not a usable PEM private key$/,
    );
  });
});
