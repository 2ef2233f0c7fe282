/**
 * Envoy, Istio, Traefik and APISIX were not run: what they document that they ask is sent to the product's signal process,
 * and what they document that they make of an answer is applied to it.
 */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { RealSignal } from '../conformance/real-signal.ts';
import { DOCUMENTED_PROXIES, type Question, type UserRequest } from './documented-requests.ts';
import { snippetPath } from './running-proxy.ts';

const WAIT = { timeout: 15_000, interval: 20 };
const COOKIE = Array.from({ length: 32 }, (_, n) => `c${n}=${'x'.repeat(1_000)}`).join('; ');

const USER_REQUESTS: readonly UserRequest[] = [
  { method: 'GET', target: '/', headers: { Host: 'shop.example' }, body: '' },
  {
    method: 'POST',
    target: '/orders?x=1&next=/v1/level',
    headers: { Host: 'shop.example', Cookie: COOKIE },
    body: 'x',
  },
  { method: 'DELETE', target: '/../v1/level', headers: { Host: 'e', Authorization: 'Bearer t' }, body: '' },
  {
    method: 'OPTIONS',
    target: '/a//b/%2e%2e/%00?%',
    headers: { Host: 'e', 'X-Forwarded-Uri': '/healthz' },
    body: '',
  },
  {
    method: 'PATCH',
    target: `/${'p'.repeat(4_000)}`,
    headers: { Host: 'e', Expect: 'x', TE: 'trailers' },
    body: '',
  },
];

const send = (port: number, { method, target, headers }: Question): Promise<number | undefined> =>
  new Promise((resolve) => {
    const call = request(
      { host: '127.0.0.1', port, method, path: target, headers, agent: false },
      (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      },
    );
    call.on('error', () => resolve(undefined)).end();
  });

describe.each(DOCUMENTED_PROXIES)('$name, as documented', ({ name, ask, outcome }) => {
  const signal = new RealSignal();
  beforeAll(() => signal.start());
  afterAll(() => signal.stop());

  /** Outcomes of all kinds of requests, several times each. */
  const outcomes = async (): Promise<string[]> => {
    const questions = Array.from({ length: 8 }, () => USER_REQUESTS.map(ask)).flat();
    return (await Promise.all(questions.map((question) => send(signal.port, question)))).map(outcome);
  };

  it('serves at level 0 and denies at 0.95, whatever the end user sends', async () => {
    signal.set(0);
    await expect.poll(outcomes, WAIT).toEqual(Array(8 * USER_REQUESTS.length).fill('serve'));
    signal.set(0.95);
    const denied = async (): Promise<number> => (await outcomes()).filter((each) => each === 'deny').length;
    await expect.poll(denied, WAIT).toBeGreaterThan(30);
    for (const question of USER_REQUESTS.map(ask)) {
      const one = async (): Promise<number | undefined> => send(signal.port, question);
      await expect.poll(one, WAIT).toBe(429);
    }
  });

  it('a signal that is down: all serve but Traefik, whose snippet therefore does not ask it', async () => {
    const gone = new RealSignal();
    await gone.start();
    const { port } = gone;
    await gone.stop();
    const [question] = USER_REQUESTS.map(ask);
    const status = question && (await send(port, question));
    expect(status).toBeUndefined();
    expect(outcome(status)).toBe(name === 'traefik' ? 'fail' : 'serve');
  });

  it('the snippet is well-formed, says that it was not run, and asks the right place', () => {
    const text = readFileSync(snippetPath(`${name}.yaml`), 'utf8');
    const documents = parseAllDocuments(text);
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    expect(text).toContain('NOT RUN');
    expect(text).toContain('/v1/shed');
    expect(text).toContain('scx-slo-signal.scx-slo-system.svc');
    const settings: Record<string, RegExp> = {
      envoy: /failure_mode_allow: true[\s\S]*timeout: 0\.02s/,
      istio: /timeout: 0\.02s\n#\s+failOpen: true/,
      traefik: /127\.0\.0\.1:8429/,
      apisix: /timeout: 20[\s\S]*allow_degradation: true/,
    };
    expect(text).toMatch(settings[name] ?? /^$/);
  });
});
