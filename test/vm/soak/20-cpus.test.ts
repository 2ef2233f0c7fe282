// The CPUs themselves change: cpusets, and CPUs that go and come.
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, schedExt } from '../suites/agent-process.ts';
import { fact } from '../suites/facts.ts';
import { SOAK_SECONDS, SoakNode } from './soak-node.ts';

const CPUSETS = ['0', '1', '0-1'];
const PAUSE_MS = 50;
/** After this many reloads the agent says that reloading helps nobody. */
const HOTPLUGS = 8;
const CPU1 = '/sys/devices/system/cpu/cpu1/online';

describe('a node that enforces', () => {
  const node = new SoakNode('soak-cpus');
  beforeAll(() => node.enforce());
  afterEach(() => node.clear());
  afterAll(() => node.close());

  test('cpusets that change under busy pods', async () => {
    node.saturate();
    const pods = ['a', 'b', 'c'].map((name) =>
      node.add(name, { containers: { main: { requestMilli: 100 } } }),
    );
    for (const pod of pods) pod.container().spin(3);
    await node.survives('cpuset churn', async () => {
      const until = performance.now() + SOAK_SECONDS * 1000;
      let changes = 0;
      for (; performance.now() < until; changes += 1) {
        for (const [i, pod] of pods.entries())
          pod.cgroup.write('cpuset.cpus', CPUSETS[(changes + i) % CPUSETS.length] ?? '');
        await sleep(PAUSE_MS);
      }
      fact('cpusetChanges', changes * pods.length);
    });
  });

  test('a CPU that goes and comes: the scheduler is loaded again, and was not thrown out', async () => {
    node.saturate();
    const hotplugs = async () => (await node.agent.exits()).counts.hotplug ?? 0;
    const before = await hotplugs();
    const reload = async (online: 0 | 1) => {
      const countBefore = await hotplugs();
      writeFileSync(CPU1, `${online}`);
      await eventually(
        `the scheduler is back after CPU 1 became ${online === 1 ? 'online' : 'offline'}`,
        async () => ((await hotplugs()) > countBefore && schedExt('state') === 'enabled' ? true : undefined),
        120_000,
      );
    };
    await node.survives(
      'hotplug',
      async () => {
        const pauseMs = (SOAK_SECONDS * 1000) / (2 * HOTPLUGS);
        for (let i = 0; i < HOTPLUGS; i += 1) {
          await reload(i % 2 === 0 ? 0 : 1);
          await sleep(pauseMs);
        }
      },
      true,
    );
    expect((await hotplugs()) - before).toBe(HOTPLUGS);
    // and for no other reason
    expect(await node.agent.metric('scx_slo_scheduler_exits_total')).toBe(await hotplugs());
    expect((await node.agent.view()).mode).toBe('enforce');
  });
});
