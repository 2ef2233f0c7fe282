// 4,096 cgroups come and go while the node enforces: every one gets its slot, none keeps one.
import { mkdirSync, rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { podCgroupPath } from '../../fakes/kubelet-cgroups.ts';
import { AgentProcess, eventually, killAgents } from './agent-process.ts';
import { fact } from './facts.ts';
import { GuestNode } from './guest-pods.ts';

const BURST = 64;
const TOTAL = 4096;
const node = new GuestNode();
afterEach(async () => {
  await killAgents();
  await node.clear();
});
afterAll(() => node.close());

const uidOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const dirOf = (n: number): string =>
  `/sys/fs/cgroup${podCgroupPath({ driver: 'systemd', qos: 'burstable', uid: uidOf(n) })}`;

const used = async (agent: AgentProcess): Promise<number> => {
  const text = await agent.metrics();
  const line = /^scx_slo_slots\{state="used"\} (\d+)/m.exec(text);
  if (!line) throw new Error(`no scx_slo_slots in the metrics of pid ${agent.child.pid}`);
  return Number(line[1]);
};

/** Upper bound of the bucket that holds quantile `q`, in ms. */
const resolveQuantileMs = async (agent: AgentProcess, q: number): Promise<number> => {
  const text = await agent.metrics();
  const buckets = [...text.matchAll(/^scx_slo_resolve_duration_seconds_bucket\{le="([^"]+)"\} (\d+)/gm)];
  const total = Number(buckets.at(-1)?.[2]);
  const bucket = buckets.find((match) => Number(match[2]) >= q * total);
  return Number(bucket?.[1]) * 1e3;
};

describe('while enforcing', () => {
  test('4,096 cgroups created and removed: no leak, none unresolved', async () => {
    // keeps the parents of the others alive
    node.add('anchor', { 'scx-slo.io/budget-ms': '20' });
    const agent = await AgentProcess.enforce('churn', node.podsDir);
    await agent.pod('anchor');
    await sleep(1_500);
    const before = await used(agent);

    for (let first = 0; first < TOTAL; first += BURST) {
      for (let n = first; n < first + BURST; n += 1) mkdirSync(dirOf(n));
      await sleep(20);
      // half of the cgroups live until the whole burst is known
      for (let n = first; n < first + BURST; n += 2) rmdirSync(dirOf(n));
    }
    const half = TOTAL / 2;
    await eventually(
      'every living cgroup has a slot',
      async () => ((await used(agent)) === before + half ? true : undefined),
      60_000,
    );
    fact('resolveP99Ms', await resolveQuantileMs(agent, 0.99));
    fact('agentResidentMbAfterChurn', Math.round(agent.residentMb()));

    for (let n = 1; n < TOTAL; n += 2) rmdirSync(dirOf(n));
    await eventually(
      'no slot is left behind',
      async () => ((await used(agent)) === before ? true : undefined),
      60_000,
    );
    expect(await agent.metric('scx_slo_unresolved_pods')).toBe(0);
    expect((await agent.view()).mode).toBe('enforce');
    expect(await agent.stop()).toBe(0);
  });

  test('a flood of misses: drops are counted, the agent stays quick', async () => {
    const pods = Array.from({ length: 12 }, (_, n) =>
      node.add(`flood-${n}`, { 'scx-slo.io/budget-ms': '1', 'scx-slo.io/importance': '20' }),
    );
    const agent = await AgentProcess.enforce('flood', node.podsDir);
    await eventually(
      'all pods have slots',
      async () => ((await agent.view()).pods.length === pods.length ? true : undefined),
      60_000,
    );
    for (const pod of pods)
      node.run(pod, 2, 'while :; do i=0; while [ $i -lt 50 ]; do i=$((i+1)); done; sleep 0.002; done');
    await eventually(
      'events are dropped and counted',
      async () => ((await agent.metric('scx_slo_events_dropped_total')) > 0 ? true : undefined),
      60_000,
    );
    await agent.metric('scx_slo_miss_events_total');
    await sleep(3_000);
    const loopP99Ms = (await agent.metric('scx_slo_agent_event_loop_delay_p99_seconds')) * 1e3;
    fact('eventLoopP99InFloodMs', Math.round(loopP99Ms * 10) / 10);
    expect(await agent.metric('scx_slo_miss_events_total')).toBeGreaterThan(0);
    expect((await agent.view()).mode).toBe('enforce');
    expect(await agent.stop()).toBe(0);
  });
});
