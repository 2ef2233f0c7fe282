/** The part of an API server that the demo needs: starts the real webhook with TLS and calls it for each pod. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { apply_patch } from 'jsonpatch';
import { createCa, issue } from '../fakes/certificates.ts';
import type { Pod } from './pod.ts';

/** As the API server calls it: by the Service's name, whatever address that stands for. */
const SERVER_NAME = 'scx-slo-webhook.scx-slo-system.svc';
const PORT = 10250;
const HEALTH_PORT = 9091;

export interface Admitted {
  pod: Pod;
  operations: number;
  warnings: string[];
  milliseconds: number;
}

export interface Webhook {
  admit(pod: Pod): Promise<Admitted>;
  stop(): Promise<void>;
}

interface ReviewResponse {
  uid: string;
  allowed: boolean;
  patch?: string;
  warnings?: string[];
}

const post = (ca: string, body: string): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: PORT,
      servername: SERVER_NAME,
      ca,
      method: 'POST',
      path: '/mutate?timeout=5s',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      minVersion: 'TLSv1.3' as const,
      timeout: 10_000,
    };
    const sent = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('timeout', () => sent.destroy(new Error('the webhook did not answer within 10 s')));
    sent.on('error', reject);
    sent.end(body);
  });

const reviewOf = (pod: Pod, uid: string) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid,
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    name: pod.metadata.name,
    namespace: pod.metadata.namespace,
    operation: 'CREATE',
    userInfo: { username: 'demo' },
    object: pod,
    oldObject: null,
    dryRun: false,
  },
});

const admitWith =
  (ca: string) =>
  async (pod: Pod): Promise<Admitted> => {
    const uid = randomUUID();
    const started = performance.now();
    const { status, text } = await post(ca, JSON.stringify(reviewOf(pod, uid)));
    const milliseconds = performance.now() - started;
    if (status !== 200) throw new Error(`the webhook answered ${status} for ${pod.metadata.name}: ${text}`);
    const { response }: { response: ReviewResponse } = JSON.parse(text);
    if (response.uid !== uid || !response.allowed)
      throw new Error(`the webhook refused ${pod.metadata.name}: ${text}`);
    const patch: object[] =
      response.patch === undefined ? [] : JSON.parse(Buffer.from(response.patch, 'base64').toString());
    return {
      pod: apply_patch(pod, patch),
      operations: patch.length,
      warnings: response.warnings ?? [],
      milliseconds,
    };
  };

const ready = async (child: ChildProcess): Promise<void> => {
  for (let tries = 0; tries < 300; tries += 1) {
    if (child.exitCode !== null) break;
    const up = await fetch(`http://127.0.0.1:${HEALTH_PORT}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (up) return;
    await sleep(100);
  }
  throw new Error(`the webhook did not become ready (exit code ${child.exitCode})`);
};

/** `program` is the bundled webhook; keys and its log go to `dir`. */
export const startWebhook = async (program: string, dir: string): Promise<Webhook> => {
  const ca = await createCa('scx-slo demo CA');
  const { cert, key } = await issue(ca, { dnsNames: [SERVER_NAME] });
  const certFile = join(dir, 'webhook.crt');
  const keyFile = join(dir, 'webhook.key');
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const ports = ['--port', String(PORT), '--health-port', String(HEALTH_PORT), '--lame-duck', '0'];
  const child = spawn(process.execPath, [program, '--cert', certFile, '--key', keyFile, ...ports], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(join(dir, 'webhook.log'));
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  // Whatever happens to the demo, the webhook ends with it.
  process.once('exit', () => child.kill('SIGKILL'));
  await ready(child);
  return {
    admit: admitWith(ca.cert),
    stop: async () => {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
};
