// One soak test: a node that enforces, a load for a minute, and what must be true afterwards.
import { expect } from 'vitest';
import { fact } from '../suites/facts.ts';
import { KernelLog } from '../suites/kernel-log.ts';
import { Holdings } from '../suites/leaks.ts';
import { NodeUnderTest } from '../suites/node-under-test.ts';
import { worstWakeupMs } from '../suites/waits.ts';

/** Of each load. */
export const SOAK_SECONDS = Number(process.env.SOAK_SECONDS ?? 60);
/** Half of the time after which the kernel's watchdog throws a scheduler out: nobody is to come near it. */
export const LONGEST_WAIT_MS = 15_000;

/** How the kernel says that it ended a scheduler because a CPU came or went. */
const HOTPLUG = /unregistered from the main kernel|going (online|offline), exiting scheduler/;

export class SoakNode extends NodeUnderTest {
  readonly #log = new KernelLog();
  #holdings: Holdings | undefined;

  /** What the agent holds now, with no pod, is what it must come back to. */
  override async enforce(): Promise<void> {
    await super.enforce();
    this.#holdings = await Holdings.of(this.agent);
  }

  /**
   * Runs `load` beside a probe in a pod of its own. Afterwards the scheduler must be the same (or, with `reloads`, be
   * back), no wake-up may have waited long, nothing may be left behind, and the kernel must have had no complaint.
   */
  async survives(name: string, load: () => Promise<void>, reloads = false): Promise<void> {
    const probe = this.add('probe', { containers: { main: { requestMilli: 100 } } });
    const [worstMs] = await Promise.all([worstWakeupMs(probe.container(), SOAK_SECONDS), load()]);
    fact(`worstWakeupMs ${name}`, worstMs);
    expect(worstMs).toBeLessThan(LONGEST_WAIT_MS);
    await this.clear();
    if (!reloads) await this.expectEnforcing();
    await this.#holdings?.expectBack(name);
    const trouble = this.#log.takeTrouble();
    expect(reloads ? trouble.filter((line) => !HOTPLUG.test(line)) : trouble).toEqual([]);
  }

  /** Pods with and without an SLO that want more CPU than there is. */
  saturate(): void {
    const api = this.add('api', {
      annotations: { 'scx-slo.io/budget-ms': '20', 'scx-slo.io/importance': '90' },
      containers: { main: { requestMilli: 400 } },
    });
    api.container().run('while :; do i=0; while [ $i -lt 500 ]; do i=$((i+1)); done; sleep 0.005; done');
    for (const name of ['batch-a', 'batch-b'])
      this.add(name, { containers: { main: { requestMilli: 200 } } })
        .container()
        .spin(4);
  }
}
