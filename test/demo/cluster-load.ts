/**
 * The demo's load on one's own cluster: `load.mjs HOST:PORT=SHARE...` [--seconds N] [--request-ms N]. Makes a request
 * cost so much CPU on the service's node, then sends as many as take SHARE of one CPU, open loop, and prints latencies
 * from the intended start, and how many were told 429.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { type LoadSpec, runLoad } from '../bench/open-loop.ts';
import { isPacer, pacerData, runPacer } from '../bench/pacer.ts';
import { summarise } from '../bench/percentiles.ts';
import type { StreamResult } from '../bench/stream.ts';
import { parseTargets, type ServiceTarget, turnsFromTrips } from './cluster-targets.ts';
import { ms } from './figure-text.ts';

const USAGE = `usage: load.mjs HOST:PORT=SHARE... [--seconds N] [--request-ms N]
  for example: load.mjs checkout.shop:8080=0.4 recommendations.shop:8080=0.9
`;
const START_LIMIT_MS = 60_000;
const PROBE_REQUESTS = 40;
const PROBE_TURNS = 400_000;
const CONNECTIONS = 64;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const answers = async ({ host, port }: ServiceTarget): Promise<void> => {
  const until = performance.now() + START_LIMIT_MS;
  for (;;) {
    const up = await fetch(`http://${host}:${port}/stats`).then(
      (response) => response.ok,
      () => false,
    );
    if (up) return;
    if (performance.now() > until) throw new Error(`${host}:${port} does not answer`);
    await sleep(500);
  }
};

/** The quickest of some requests with so many turns: the one that waited least. */
const quickestMs = async ({ host, port }: ServiceTarget, turns: number): Promise<number> => {
  const set = await fetch(`http://${host}:${port}/burn?turns=${turns}`, { method: 'PUT' });
  if (set.status !== 204) throw new Error(`${host}:${port} refused to change its work: ${set.status}`);
  let quickest = Number.POSITIVE_INFINITY;
  for (let sent = 0; sent < PROBE_REQUESTS; sent += 1) {
    const started = performance.now();
    await (await fetch(`http://${host}:${port}/`)).text();
    quickest = Math.min(quickest, performance.now() - started);
  }
  return quickest;
};

const calibrate = async (target: ServiceTarget, requestMs: number): Promise<void> => {
  const bare = await quickestMs(target, 0);
  const loaded = await quickestMs(target, PROBE_TURNS);
  const turns = turnsFromTrips({ bareMs: bare, loadedMs: loaded, turns: PROBE_TURNS }, requestMs);
  if (turns === undefined)
    throw new Error(`${target.host}: ${PROBE_TURNS} turns take no time that could be measured`);
  const reached = await quickestMs(target, turns);
  say(
    `${target.host}: a request takes ${ms(reached)} when nothing is in its way, ${ms(bare)} of it HTTP and network`,
  );
};

const lineOf = (stream: StreamResult, seconds: number): string => {
  const { p50Ms, p99Ms, p999Ms } = summarise(stream.latenciesMs);
  const figures = [`p50 ${ms(p50Ms)}`, `p99 ${ms(p99Ms)}`, `p99.9 ${ms(p999Ms)}`].join(', ');
  const served = `${stream.served} of ${stream.offered} requests in ${seconds} s (${stream.sustained ? 'keeps up' : 'does not keep up'})`;
  return `${stream.name}: ${served}, ${figures}, ${stream.shed} told 429, ${stream.failed} failed`;
};

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string', default: '30' }, 'request-ms': { type: 'string', default: '4' } },
  });
  const [seconds, requestMs] = [Number(values.seconds), Number(values['request-ms'])];
  const targets = parseTargets(positionals);
  if (
    typeof targets === 'string' ||
    !(seconds >= 1 && seconds <= 3600) ||
    !(requestMs > 0 && requestMs <= 1000)
  ) {
    process.stderr.write(`${typeof targets === 'string' ? `${targets}\n` : ''}${USAGE}`);
    return 2;
  }
  for (const target of targets) {
    await answers(target);
    await calibrate(target, requestMs);
  }
  const spec: LoadSpec = {
    settleSeconds: 1,
    warmUpSeconds: 2,
    seconds,
    graceSeconds: 10,
    snapshotFiles: [],
    streams: targets.map(({ host, port, share }, index) => ({
      name: host,
      host,
      port,
      workers: 1,
      ratePerSecond: (share * 1000) / requestMs,
      seed: index + 1,
      connections: CONNECTIONS,
    })),
  };
  const result = await runLoad(spec, new URL(import.meta.url));
  for (const stream of result.streams) say(lineOf(stream, seconds));
  const lateMs = Math.max(...result.streams.map(({ maxLateMs }) => maxLateMs));
  say(`the load generator itself was at most ${ms(lateMs)} late`);
  return 0;
};

if (!isMainThread && isPacer(pacerData)) runPacer(pacerData);
else if (import.meta.main) process.exit(await main());
