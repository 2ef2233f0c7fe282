// Realtime work on every CPU, forever: from 7.0 on the kernel leaves the scheduler 5 % of each CPU, before that nothing.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isFailure } from '../../../agent/failure.ts';
import { hostSysfs } from '../../../agent/kernel/sysfs.ts';
import { readKernelTypes } from '../../../agent/kernel/vmlinux-btf.ts';
import { eventually } from '../suites/agent-process.ts';
import { describeIf } from '../suites/applies.ts';
import { fact } from '../suites/facts.ts';
import { KernelLog } from '../suites/kernel-log.ts';
import { SOAK_SECONDS, SoakNode } from './soak-node.ts';

/** Longer than the kernel's watchdog waits. */
const HOG_SECONDS = Math.max(SOAK_SECONDS, 45);
const types = readKernelTypes(hostSysfs);
const hasDeadlineServer = types !== undefined && !isFailure(types) && types.hasExtServer;

/** SCHED_FIFO loops, one for each CPU. What ends them needs a higher priority: an equal one waits for ever. */
const hogAllCpus = async (seconds: number): Promise<void> => {
  const ender = (cpu: number) => `chrt -f 60 taskset -c ${cpu} timeout -s KILL ${seconds}`;
  const hog = (cpu: number) =>
    once(
      spawn('sh', ['-c', `exec ${ender(cpu)} chrt -f 50 sh -c 'while :; do :; done'`], { stdio: 'ignore' }),
      'exit',
    );
  await Promise.all(cpus().map((_, cpu) => hog(cpu)));
};

describe('realtime hogs on all CPUs', () => {
  const node = new SoakNode('soak-realtime');
  const log = new KernelLog();
  beforeAll(() => node.enforce());
  afterAll(() => node.close());

  describeIf(hasDeadlineServer)('with the deadline server for sched_ext', () => {
    test('do not end the scheduler', async () => {
      node.saturate();
      await hogAllCpus(HOG_SECONDS);
      await node.expectEnforcing();
      expect(log.takeTrouble()).toEqual([]);
    });
  });

  describeIf(!hasDeadlineServer)('without it', () => {
    test('end the scheduler, and the agent says why', async () => {
      node.saturate();
      await hogAllCpus(HOG_SECONDS);
      const exits = await eventually('the agent noticed', async () => {
        const now = await node.agent.exits().catch(() => undefined);
        return (now?.counts.stall ?? 0) > 0 ? now : undefined;
      });
      fact('realtimeExit', exits.exits.at(-1)?.message ?? '');
      // what the operator reads on such a kernel, whether it happened or not
      const doctor = spawnSync(process.execPath, ['build/dist/cli.mjs', 'doctor'], { encoding: 'utf8' });
      expect(doctor.stdout).toMatch(/realtime/);
    });
  });
});
