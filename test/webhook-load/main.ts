/**
 * Measures the webhook as an API server meets it: two replicas as processes, TLS 1.3, connections that are kept, the
 * load generator beside them on the same CPUs. Prints what it measured and writes build/bench/webhook.json.
 *
 *     make bench-webhook ARGS="--rate N --seconds N --runs N"
 *
 * Exit code 1 when a call failed or a target of the project was missed.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { summarise } from '../bench/percentiles.ts';
import { ApiServer } from './api-server.ts';
import { Deployment } from './deployment.ts';
import { handlerFigures, snapshots } from './figures.ts';
import { type LoadResult, runCallers, startRate } from './load.ts';
import { reviews } from './reviews.ts';

const TARGETS = { perSecond: 1500, handlerP99Ms: 5, rssMb: 110, failed: 0 };

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: String(TARGETS.perSecond) },
    seconds: { type: 'string', default: '20' },
    runs: { type: 'string', default: '3' },
  },
});
const [rate, seconds, runs] = [Number(values.rate), Number(values.seconds), Number(values.runs)];
const CALLERS = 16;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

const failedOf = ({ failures }: LoadResult): Record<string, number> => Object.fromEntries(failures);
const countOf = (failed: Record<string, number>): number =>
  Object.values(failed).reduce((sum, count) => sum + count, 0);

/** CPU time that everybody used, of which this run is a part; jiffies. */
const machineCpu = (): { busy: number; all: number } => {
  const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  const all = fields.reduce((sum, value) => sum + value, 0);
  return { busy: all - (fields[3] ?? 0) - (fields[4] ?? 0), all };
};

const loadOf = (result: LoadResult) => {
  const failed = failedOf(result);
  const { p50Ms, p99Ms, maxMs } = summarise(result.latenciesMs);
  return {
    calls: result.calls,
    perSecond: result.latenciesMs.length / result.seconds,
    failed,
    callP50Ms: p50Ms,
    callP99Ms: p99Ms,
    callMaxMs: maxMs,
  };
};

async function measure(run: number) {
  const deployment = await Deployment.start({
    command: [path('bin/scx-slo'), 'webhook'],
    lameDuckSeconds: 5,
    certificatePollSeconds: 5,
    probeMs: 200,
    propagationMs: 1000,
  });
  const { service } = deployment;
  const caBundle = () => deployment.caBundle();
  const kept = new ApiServer({ service, caBundle, callsPerConnection: Number.POSITIVE_INFINITY });
  const churning = new ApiServer({ service, caBundle, callsPerConnection: 200 });
  let rssBytes = 0;
  const watching = setInterval(() => {
    for (const replica of service.replicas) rssBytes = Math.max(rssBytes, replica.rssBytes() || 0);
  }, 100);
  try {
    const mix = reviews();
    await runCallers(kept, mix, 4, 3);

    const before = await snapshots(service.replicas);
    const cpuBefore = machineCpu();
    const steady = startRate(kept, mix, rate);
    await sleep(seconds * 1000);
    const sustained = loadOf(await steady.stop());
    const cpuAfter = machineCpu();
    const handler = handlerFigures(before, await snapshots(service.replicas));
    const machineBusy = (cpuAfter.busy - cpuBefore.busy) / (cpuAfter.all - cpuBefore.all);
    say(
      `run ${run}: ${sustained.perSecond.toFixed(0)} calls/s of ${rate} asked; handler p50 ${handler.p50Ms.toFixed(2)} ms, p99 ${handler.p99Ms.toFixed(2)} ms, ${(100 * handler.within5Ms).toFixed(2)} % within 5 ms, ${handler.cpuMsPerRequest.toFixed(2)} ms of CPU each; call p99 ${sustained.callP99Ms.toFixed(1)} ms; ${countOf(sustained.failed)} failed; CPUs ${(100 * machineBusy).toFixed(0)} % busy`,
    );

    const capacity = loadOf(await runCallers(kept, mix, CALLERS, 10));
    say(
      `run ${run}: ${capacity.perSecond.toFixed(0)} calls/s by ${CALLERS} callers, p99 ${capacity.callP99Ms.toFixed(1)} ms`,
    );

    const rotating = startRate(churning, mix, rate);
    await sleep(1000);
    await deployment.rotate();
    await sleep(2000);
    const rotation = loadOf(await rotating.stop());
    say(
      `run ${run}: certificate and authority changed under ${rotation.perSecond.toFixed(0)} calls/s: ${countOf(rotation.failed)} of ${rotation.calls} failed`,
    );

    const restarting = startRate(kept, mix, rate);
    await sleep(1000);
    const codes = await deployment.restart();
    await sleep(1000);
    const restart = loadOf(await restarting.stop());
    say(
      `run ${run}: both replicas restarted (exit codes ${codes.join(', ')}) under ${restart.perSecond.toFixed(0)} calls/s: ${countOf(restart.failed)} of ${restart.calls} failed`,
    );

    const rssMb = rssBytes / 1e6;
    say(`run ${run}: resident set of a replica at most ${rssMb.toFixed(0)} MB`);
    return { sustained, handler, machineBusy, capacity, rotation, restart, exitCodes: codes, rssMb };
  } finally {
    clearInterval(watching);
    kept.close();
    churning.close();
    await deployment.stop();
  }
}

if (!existsSync(path('build/dist/webhook.mjs'))) {
  process.stderr.write('build/dist/webhook.mjs is missing. Build it with: make build\n');
  process.exit(1);
}
say(`${cpus().length} CPUs, load average before the start ${loadavg()[0]?.toFixed(1)}`);
const loadAverageBefore = loadavg()[0];
const results: Awaited<ReturnType<typeof measure>>[] = [];
for (let run = 1; run <= runs; run += 1) results.push(await measure(run));

const missed = results.flatMap(({ sustained, handler, capacity, rotation, restart, rssMb }, index) =>
  [
    [capacity.perSecond >= TARGETS.perSecond, `${capacity.perSecond.toFixed(0)} calls/s at most`],
    [sustained.perSecond >= 0.97 * rate, `${sustained.perSecond.toFixed(0)} calls/s of ${rate} asked`],
    [handler.p99Ms <= TARGETS.handlerP99Ms, `handler p99 ${handler.p99Ms.toFixed(2)} ms`],
    [rssMb <= TARGETS.rssMb, `resident set ${rssMb.toFixed(0)} MB`],
    ...[sustained, capacity, rotation, restart].map(
      ({ failed }) => [countOf(failed) === 0, `calls failed: ${JSON.stringify(failed)}`] as const,
    ),
  ]
    .filter(([isMet]) => !isMet)
    .map(([, what]) => `run ${index + 1}: ${what}`),
);
mkdirSync(path('build/bench'), { recursive: true });
const report = {
  clock: 'wall',
  cpus: cpus().length,
  node: process.version,
  loadAverageBefore,
  rate,
  seconds,
  targets: TARGETS,
  runs: results,
  missed,
};
writeFileSync(path('build/bench/webhook.json'), `${JSON.stringify(report, null, 2)}\n`);
say(missed.length === 0 ? 'all targets met' : `missed: ${missed.join('; ')}`);
say('written: build/bench/webhook.json');
process.exitCode = missed.length === 0 ? 0 : 1;
