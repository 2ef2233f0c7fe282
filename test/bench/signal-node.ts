/**
 * Inside a virtual machine: how long a pod waits for a decision on an idle node, and on one that batch work saturates, in
 * the same boot. First under the kernel's own scheduler with an agent that only observes, then under scx-slo, where the
 * signal process and the pod that asks have an SLO like any other. Writes /out/signal-node.json. Run it with `make bench-signal-node`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentProcess, eventually } from '../vm/suites/agent-process.ts';
import { GuestNode, type GuestPod } from '../vm/suites/guest-pods.ts';
import { type LatencySummary, summarise } from './percentiles.ts';

const CALLER = join(import.meta.dirname, 'signal-caller.ts');
const LEVELS = '/tmp/levels.sock';
const PORT = 7080;
const CALLER_IP = '127.0.0.2';
const HOGS_PER_CPU = 3;
const REQUESTS = 800;
const EVERY_MS = 10;
/** Compiling and collecting of the processes' first seconds are over by then. */
const SETTLE_MS = 4_000;
const TARGET_RATIO = 1.5;

interface Phase {
  scheduler: string;
  idle: LatencySummary;
  saturated: LatencySummary;
}

const inPod = (pod: GuestPod, words: readonly string[]): ChildProcess =>
  spawn('sh', ['-c', `echo 0 > /sys/fs/cgroup${pod.cgroup}/cgroup.procs && exec "$@"`, 'sh', ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });

const ask = async (caller: GuestPod): Promise<LatencySummary> => {
  const child = inPod(caller, [
    process.execPath,
    CALLER,
    String(PORT),
    CALLER_IP,
    String(REQUESTS),
    String(EVERY_MS),
  ]);
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child, 'close');
  const latenciesMs: number[] = JSON.parse(text);
  return summarise(latenciesMs);
};

const schedulerNow = (): string => {
  const state = readFileSync('/sys/kernel/sched_ext/state', 'utf8').trim();
  return state === 'enabled' ? readFileSync('/sys/kernel/sched_ext/root/ops', 'utf8').trim() : 'kernel';
};

const phase = async (node: GuestNode, caller: GuestPod): Promise<Phase> => {
  const scheduler = schedulerNow();
  await sleep(SETTLE_MS);
  const idle = await ask(caller);
  const batch = node.add(`batch-${scheduler}`, undefined);
  node.spin(batch, HOGS_PER_CPU * cpus().length);
  await sleep(SETTLE_MS);
  const saturated = await ask(caller);
  await node.remove(batch);
  process.stdout.write(
    `${scheduler}: idle p99 ${idle.p99Ms.toFixed(2)} ms, saturated p99 ${saturated.p99Ms.toFixed(2)} ms: ${(saturated.p99Ms / idle.p99Ms).toFixed(2)} x\n`,
  );
  return { scheduler, idle, saturated };
};

const slo = (budgetMs: string) => ({ 'scx-slo.io/budget-ms': budgetMs, 'scx-slo.io/importance': '90' });

const main = async (): Promise<void> => {
  const node = new GuestNode();
  const signalPod = node.add('signal', slo('2'));
  const caller = node.add('caller', slo('2'), 'systemd', [CALLER_IP]);
  const signal = inPod(signalPod, [
    process.execPath,
    'build/dist/signal.mjs',
    ...['--levels', LEVELS, '--listen', `127.0.0.1:${PORT}`, '--health', 'off'],
  ]);
  signal.stdout?.resume();
  await eventually('the signal process', async () => {
    const answer = await fetch(`http://127.0.0.1:${PORT}/v1/shed`).catch(() => undefined);
    return answer?.status === 200 ? true : undefined;
  });
  const under = async (mode: 'observe' | 'enforce'): Promise<AgentProcess> => {
    const flags = ['--mode', mode, '--pods-dir', node.podsDir, '--levels-socket', LEVELS];
    const agent = await AgentProcess.start(`signal-node-${mode}`, flags);
    await agent.pod('signal');
    await agent.pod('caller');
    return agent;
  };
  const observer = await under('observe');
  const phases = [await phase(node, caller)];
  await observer.stop();
  const agent = await under('enforce');
  phases.push(await phase(node, caller));
  const view = await agent.view();
  await agent.stop();
  signal.kill();
  await node.close();
  const result = {
    kernel: release(),
    cpus: cpus().length,
    clock: process.env.CLOCK ?? 'wall',
    requests: REQUESTS,
    everyMs: EVERY_MS,
    hogs: HOGS_PER_CPU * cpus().length,
    phases,
    ratio: phases.map(({ idle, saturated }) => saturated.p99Ms / idle.p99Ms),
    targetRatio: TARGET_RATIO,
    pods: view.pods.map(({ pod, wait, misses, reservedCpus }) => ({ pod, wait, misses, reservedCpus })),
  };
  writeFileSync('/out/signal-node.json', `${JSON.stringify(result, null, 1)}\n`);
};

await main();
