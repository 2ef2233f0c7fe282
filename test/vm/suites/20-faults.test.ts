// What goes wrong at 3 a.m.: the agent is killed, hangs, or somebody else's scheduler is there already.
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { AgentProcess, eventually, killAgents, schedExt } from './agent-process.ts';
import { fact } from './facts.ts';
import { addServiceAndBatch, GuestNode, loadServiceAndBatch } from './guest-pods.ts';

const node = new GuestNode();
afterEach(async () => {
  await killAgents();
  await node.clear();
});
afterAll(() => node.close());

const bpftool = (...args: string[]): unknown =>
  JSON.parse(execFileSync('bpftool', ['-j', ...args], { encoding: 'utf8' }));

/** Straight from the kernel's memory: the agent that would tell is stopped. */
const fairFallbacks = (): number => {
  const maps = (bpftool('map', 'show') as { id: number; name?: string }[]).filter(
    ({ name }) => name === '.data.health',
  );
  const texts = maps.map(({ id }) => JSON.stringify(bpftool('map', 'dump', 'id', String(id))));
  const counts = texts.flatMap((text) => [...text.matchAll(/"fair_fallbacks":(\d+)/g)]);
  if (counts.length === 0) throw new Error(`no fair_fallbacks in ${texts.join('\n')}`);
  return counts.reduce((sum, match) => sum + Number(match[1]), 0);
};

const start = (name: string): Promise<AgentProcess> => AgentProcess.enforce(name, node.podsDir);

const addPods = () => addServiceAndBatch(node);

/** Twice as many busy loops as CPUs. */
const load = (pods: ReturnType<typeof addPods>): void =>
  loadServiceAndBatch(node, pods, { services: 2, loops: 4 });

describe('a node that enforces', () => {
  test('kill -9 of the agent under load: the kernel schedules by itself within 1 s, no task dies', async () => {
    const pods = addPods();
    const agent = await start('kill9');
    await agent.pod('api');
    load(pods);
    expect(schedExt('state')).toBe('enabled');
    await sleep(2_000);

    const before = performance.now();
    agent.child.kill('SIGKILL');
    await eventually(
      'the scheduler is gone',
      () => (schedExt('state') === 'disabled' ? true : undefined),
      1_000,
    );
    fact('kill9ToDisabledMs', Math.round(performance.now() - before));

    expect(node.alive(pods.api)).toBe(2);
    expect(node.alive(pods.batch)).toBe(4);
  });

  test('an agent that hangs for 30 s: pods become fair work within 10 s, the node answers, then it recovers', async () => {
    const pods = addPods();
    const agent = await start('sigstop');
    await agent.pod('api');
    load(pods);
    expect(await agent.metric('scx_slo_fair_fallbacks_total')).toBe(0);
    agent.child.kill('SIGSTOP');
    const stoppedAt = performance.now();
    await eventually(
      'the kernel side ignores the silent agent',
      () => (fairFallbacks() > 0 ? true : undefined),
      10_000,
    );
    fact('sigstopToFairMs', Math.round(performance.now() - stoppedAt));

    let slowestMs = 0;
    while (performance.now() - stoppedAt < 30_000) {
      const asked = performance.now();
      execFileSync('true');
      slowestMs = Math.max(slowestMs, performance.now() - asked);
      await sleep(200);
    }
    fact('slowestForkWhileHungMs', Math.round(slowestMs));
    expect(slowestMs).toBeLessThan(3_000);
    expect(schedExt('state')).toBe('enabled');
    expect(node.alive(pods.api)).toBe(2);
    expect(node.alive(pods.batch)).toBe(4);

    agent.child.kill('SIGCONT');
    await eventually('the agent answers again', async () =>
      (await agent.metric('scx_slo_fair_fallbacks_total').catch(() => 0)) > 0 ? true : undefined,
    );
    expect((await agent.view()).mode).toBe('enforce');
    expect(await agent.stop()).toBe(0);
  });

  test("somebody else's scheduler: refused with its name, left alone", async () => {
    execFileSync('bpftool', ['struct_ops', 'register', 'build/bpf/other-scheduler.bpf.o', '/sys/fs/bpf']);
    try {
      expect(schedExt('root/ops')).toBe('somebody_else');
      const agent = await start('other');
      const view = await agent.view();
      expect(view.mode).toBe('advisory');
      expect(view.modeReason).toMatchObject({
        code: 'OtherScheduler',
        message: expect.stringContaining('somebody_else'),
      });
      expect(await agent.stop()).toBe(0);
      expect(schedExt('root/ops')).toBe('somebody_else');
    } finally {
      execFileSync('rm', ['/sys/fs/bpf/other_ops']);
      await eventually('it is gone', () => (schedExt('state') === 'disabled' ? true : undefined));
    }
  });
});
