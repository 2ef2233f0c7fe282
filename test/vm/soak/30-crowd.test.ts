// More runnable tasks than a watchdog likes: 600 on each CPU, beside latency pods at full demand.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../suites/agent-process.ts';
import { fact } from '../suites/facts.ts';
import { ProgressWatch } from '../suites/waits.ts';
import { SOAK_SECONDS, SoakNode } from './soak-node.ts';

const CPUS = 2;
const TASKS_PER_CPU = 600;
const PODS = 4;
/** The watchdog's own time; a task that waits that long ends the scheduler. */
const WATCHDOG_MS = 30_000;

describe('a node that enforces', () => {
  const node = new SoakNode('soak-crowd');
  beforeAll(() => node.enforce());
  afterEach(() => node.clear());
  afterAll(() => node.close());

  test(`${TASKS_PER_CPU} runnable tasks on each CPU`, async () => {
    const tasks = CPUS * TASKS_PER_CPU;
    const crowd = Array.from({ length: PODS }, (_, i) =>
      node.add(`crowd-${i}`, { containers: { main: { requestMilli: 100 } } }),
    );
    const pids = () => crowd.flatMap((pod) => pod.container().pids());
    for (const pod of crowd) pod.container().spin(tasks / PODS);
    await eventually('the crowd is there', () => (pids().length >= tasks ? true : undefined), 120_000);
    for (const importance of [90, 50])
      node
        .add(`latency-${importance}`, {
          annotations: { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/importance': `${importance}` },
          containers: { main: { requestMilli: 400 } },
        })
        .container()
        .spin(CPUS);

    const progress = new ProgressWatch();
    await node.survives('crowd', async () => {
      const watched = pids();
      const until = performance.now() + SOAK_SECONDS * 1000;
      while (performance.now() < until) {
        progress.sample(watched);
        await sleep(500);
      }
      progress.sample(watched);
    });
    fact('crowdTasks', progress.tasks);
    fact('crowdWorstWaitMs', Math.round(progress.worstMs));
    expect(progress.tasks).toBe(tasks);
    expect(progress.worstMs).toBeLessThan(WATCHDOG_MS);
  });
});
