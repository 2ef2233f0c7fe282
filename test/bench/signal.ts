/**
 * `make bench-signal`: what one core of this machine decides a second, and how long a request holds the signal
 * process. The process is the built one, pinned to one CPU; the load asks from another. Writes build/bench/signal.json.
 * Exit code: 0 measured, whatever the targets say; 1 it could not be.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelPublisher } from '../../agent/signal/level-publisher.ts';
import { podLevel, startSignal, until } from '../signal-process.ts';
import { summarise } from './percentiles.ts';
import { askAsFastAsItAnswers } from './signal-load.ts';

const PROGRAM = join(import.meta.dirname, '../../build/dist/signal.mjs');
const OUT_DIR = join(import.meta.dirname, '../../build/bench');
const SOURCES = Array.from({ length: 8 }, (_, n) => `127.0.0.${10 + n}`);
/** Pods of a full node: the table that decisions are looked up in. */
const PODS = 250;
const CONNECTIONS_EACH = 2;
const WARM_UP_S = 2;
const SECONDS = Number(process.env.SECONDS ?? 10);
const TARGET = { decisionsPerCpuSecond: 5_000, handlerP99Us: 100 };
const TICKS_PER_S = 100;

/** utime and stime of proc(5), in clock ticks of 10 ms. */
const cpuSecondsOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
};

type Buckets = Map<number, number>;

const handlerBuckets = async (healthPort: number): Promise<Buckets> => {
  const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
  const lines = text.matchAll(/^scx_slo_signal_handler_duration_seconds_bucket\{le="([^"]+)"\} ([0-9]+)$/gm);
  return new Map(
    [...lines].map(([, le, count]) => [le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), Number(count)]),
  );
};

/** @returns the least bound that so many of the requests between two readings stayed within, in us. */
const boundUs = (before: Buckets, after: Buckets, share: number): number => {
  const grown = [...after].map(([le, count]) => ({ le, count: count - (before.get(le) ?? 0) }));
  const all = grown.at(-1)?.count ?? 0;
  return Math.round((grown.find(({ count }) => count >= share * all)?.le ?? Number.NaN) * 1e6);
};

const measure = async (root: string) => {
  const levels = join(root, 'levels.sock');
  const publisher = new LevelPublisher(levels, () => undefined);
  const failed = await publisher.start();
  if (failed !== undefined) throw new Error(failed.why);
  const said = Array.from({ length: PODS }, (_, n) => podLevel(`p${n}`, [SOURCES[n] ?? `10.0.0.${n}`], 0.25));
  const ticks = setInterval(() => publisher.publish(said, performance.now()), 200);
  const pinned = cpus().length > 1;
  // The last CPU for the process, the others for the load.
  const last = cpus().length - 1;
  if (pinned) execFileSync('taskset', ['-pc', `0-${last - 1}`, String(process.pid)], { stdio: 'ignore' });
  const prefix = pinned ? ['taskset', '-c', String(last)] : [];
  const signal = await startSignal({ levels, prefix, program: PROGRAM, flags: ['--log-level', 'info'] });
  try {
    await until('levels', () => signal.log.some(({ msg }) => msg === 'the agent is there'));
    await askAsFastAsItAnswers(signal.port, SOURCES, CONNECTIONS_EACH, WARM_UP_S);
    const pid = signal.child.pid ?? 0;
    const [cpuBefore, bucketsBefore] = [cpuSecondsOf(pid), await handlerBuckets(signal.healthPort)];
    const load = await askAsFastAsItAnswers(signal.port, SOURCES, CONNECTIONS_EACH, SECONDS);
    const [cpuAfter, bucketsAfter] = [cpuSecondsOf(pid), await handlerBuckets(signal.healthPort)];
    const decisions = load.latenciesMs.length;
    const cpuSeconds = cpuAfter - cpuBefore;
    const { p50Ms, p99Ms, p999Ms } = summarise(load.latenciesMs);
    return {
      cpu: cpus()[0]?.model ?? '',
      cpus: cpus().length,
      pinned,
      loadAverage: loadavg()[0],
      seconds: load.seconds,
      callers: SOURCES.length,
      connections: SOURCES.length * CONNECTIONS_EACH,
      decisions,
      deniedShare: load.denied / decisions,
      decisionsPerS: Math.round(decisions / load.seconds),
      processCpuShare: cpuSeconds / load.seconds,
      /** What one core decides when it does nothing else: other work on this machine does not lower it. */
      decisionsPerCpuSecond: Math.round(decisions / cpuSeconds),
      handlerP50UsAtMost: boundUs(bucketsBefore, bucketsAfter, 0.5),
      handlerP99UsAtMost: boundUs(bucketsBefore, bucketsAfter, 0.99),
      handlerP999UsAtMost: boundUs(bucketsBefore, bucketsAfter, 0.999),
      endToEnd: { p50Ms, p99Ms, p999Ms },
      rssMiB: signal.rssMiB(),
      target: TARGET,
    };
  } finally {
    clearInterval(ticks);
    await signal.stop();
    publisher.stop();
  }
};

const main = async (): Promise<number> => {
  if (spawnSync('taskset', ['-V']).error !== undefined) {
    process.stderr.write('bench-signal: taskset is missing: install util-linux\n');
    return 1;
  }
  const root = mkdtempSync(join(tmpdir(), 'scx-slo-bench-signal-'));
  try {
    const result = await measure(root);
    mkdirSync(OUT_DIR, { recursive: true });
    writeFileSync(join(OUT_DIR, 'signal.json'), `${JSON.stringify(result, null, 1)}\n`);
    const verdict = (met: boolean): string => (met ? 'met' : 'MISSED');
    const { endToEnd } = result;
    process.stdout.write(
      [
        `signal process on one CPU of ${result.cpus} (${result.cpu}), load average ${result.loadAverage?.toFixed(1)}, ${result.connections} connections of ${result.callers} callers`,
        `decisions        ${result.decisionsPerCpuSecond} a second of its CPU time, target ${TARGET.decisionsPerCpuSecond}: ${verdict(result.decisionsPerCpuSecond >= TARGET.decisionsPerCpuSecond)}`,
        `                 ${result.decisionsPerS}/s were asked and answered, with ${(result.processCpuShare * 100).toFixed(0)} % of that CPU`,
        `handler          p50 <= ${result.handlerP50UsAtMost} us, p99 <= ${result.handlerP99UsAtMost} us, p99.9 <= ${result.handlerP999UsAtMost} us, target p99 ${TARGET.handlerP99Us} us: ${verdict(result.handlerP99UsAtMost <= TARGET.handlerP99Us)}`,
        `end to end       p50 ${endToEnd.p50Ms.toFixed(2)} ms, p99 ${endToEnd.p99Ms.toFixed(2)} ms, p99.9 ${endToEnd.p999Ms.toFixed(2)} ms, at that rate`,
        `resident memory  ${result.rssMiB.toFixed(0)} MiB`,
        'build/bench/signal.json',
        '',
      ].join('\n'),
    );
    return 0;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
};

process.exitCode = await main();
