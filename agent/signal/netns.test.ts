/** Identity by source address: pods are network namespaces, joined to the node's by veth pairs and host routes. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podLevel, type Reply, type SignalProcess, startSignal, until } from '../../test/signal-process.ts';
import { LevelPublisher } from './level-publisher.ts';

const NODE = `scxsig-${process.pid}`;
const NODE_IP = '10.99.0.1';
const PODS = { a: '10.99.0.10', b: '10.99.0.11' };
const namespaceOf = (pod: string): string => `${NODE}-${pod}`;

/** @returns why pods cannot be made here; undefined: they can. */
const whyNot = (): string | undefined => {
  if (process.getuid?.() !== 0) return 'not root';
  const made = spawnSync('ip', ['netns', 'add', `${NODE}-probe`], { encoding: 'utf8' });
  if (made.status !== 0) return made.error?.message ?? made.stderr.trim();
  execFileSync('ip', ['netns', 'del', `${NODE}-probe`]);
  return undefined;
};

const ip = (namespace: string | undefined, lines: string[]): void => {
  const inside = namespace === undefined ? [] : ['-n', namespace];
  execFileSync('ip', [...inside, '-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: 'pipe' });
};

const addPod = (pod: string, address: string): void => {
  const end = `scx${pod}`;
  ip(undefined, [`netns add ${namespaceOf(pod)}`]);
  ip(NODE, [`link add ${end} type veth peer name eth0 netns ${namespaceOf(pod)}`]);
  ip(namespaceOf(pod), [
    'link set lo up',
    `address add ${address}/32 dev eth0`,
    'link set eth0 up',
    `route add ${NODE_IP}/32 dev eth0`,
    `route add default via ${NODE_IP} dev eth0 onlink`,
  ]);
  ip(NODE, [`link set ${end} up`, `route add ${address}/32 dev ${end}`]);
};

const CALLER = `
  const [, host, port, path, localAddress] = process.argv;
  const request = require('node:http').request({ host, port, path, localAddress, timeout: 1500 }, (response) => {
    let body = '';
    response.on('data', (chunk) => { body += chunk; });
    response.on('end', () => console.log(JSON.stringify({ status: response.statusCode, headers: response.headers, body })));
  });
  request.on('timeout', () => request.destroy(new Error('nothing came')));
  request.on('error', (error) => console.log(JSON.stringify({ status: 0, headers: {}, body: error.message })));
  request.end();
`;

const execute = promisify(execFile);

/** One request from inside a namespace. @returns status 0: no answer. */
const callFrom = async (
  namespace: string,
  port: number,
  path: string,
  localAddress?: string,
): Promise<Reply> => {
  const argv = [
    'netns',
    'exec',
    namespace,
    process.execPath,
    '-e',
    CALLER,
    '--',
    NODE_IP,
    String(port),
    path,
  ];
  const { stdout } = await execute('ip', localAddress === undefined ? argv : [...argv, localAddress]);
  return JSON.parse(stdout);
};

const reason = whyNot();
if (reason !== undefined) process.stderr.write(`skipped: network namespaces as pods: ${reason}\n`);

describe.skipIf(reason !== undefined)('callers in network namespaces', () => {
  const root = mkdtempSync(join(tmpdir(), 'scx-slo-netns-'));
  const publisher = new LevelPublisher(join(root, 'levels.sock'), () => undefined);
  let ticks: NodeJS.Timeout | undefined;
  let signal: SignalProcess | undefined;
  const port = (): number => signal?.port ?? 0;

  beforeAll(async () => {
    ip(undefined, [`netns add ${NODE}`]);
    ip(NODE, ['link set lo up', `address add ${NODE_IP}/32 dev lo`]);
    for (const [pod, address] of Object.entries(PODS)) addPod(pod, address);
    expect(await publisher.start()).toBeUndefined();
    const levels = [podLevel('a', [PODS.a], 0.95), podLevel('b', [PODS.b], 0.25)];
    ticks = setInterval(() => publisher.publish(levels, performance.now()), 50);
    signal = await startSignal({
      levels: join(root, 'levels.sock'),
      // Both families on one socket: callers over IPv4 appear as ::ffff:10.99.0.10.
      host: '[::]',
      prefix: ['ip', 'netns', 'exec', NODE],
    });
    await until('levels', () => signal?.log.some(({ msg }) => msg === 'the agent is there') ?? false);
  });
  afterAll(async () => {
    clearInterval(ticks);
    await signal?.stop();
    publisher.stop();
    for (const name of [...Object.keys(PODS).map(namespaceOf), NODE]) spawnSync('ip', ['netns', 'del', name]);
    rmSync(root, { recursive: true, force: true });
  });

  const ask = (namespace: string, path: string, from?: string) => callFrom(namespace, port(), path, from);
  const levelOf = async (namespace: string) => JSON.parse((await ask(namespace, '/v1/level')).body);

  it('get their own level, whatever pod they ask from', async () => {
    expect(await levelOf(namespaceOf('a'))).toMatchObject({ shed: 0.95, state: 'shedding' });
    expect(await levelOf(namespaceOf('b'))).toMatchObject({ shed: 0.25, state: 'shedding' });
    const replies = await Promise.all(Array.from({ length: 8 }, () => ask(namespaceOf('a'), '/v1/shed')));
    expect(replies.map(({ status }) => status)).toContain(429);
  });

  it('are nobody where the address is the node’s', async () => {
    expect(await ask(NODE, '/v1/shed')).toMatchObject({
      status: 200,
      headers: { 'x-scx-slo-state': 'unknown' },
    });
  });

  it('get no answer under the address of another pod', async () => {
    ip(namespaceOf('b'), [`address add ${PODS.a}/32 dev lo`]);
    expect((await ask(namespaceOf('b'), '/v1/level', PODS.a)).status).toBe(0);
    ip(namespaceOf('b'), [`address del ${PODS.a}/32 dev lo`]);
    expect(await levelOf(namespaceOf('b'))).toMatchObject({ shed: 0.25 });
  });
});
