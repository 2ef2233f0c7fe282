// Attaching: to a node that is full, and two hundred times.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { failureText, isFailure } from '../../../agent/failure.ts';
import { openScheduler } from '../../../agent/kernel/scheduler.ts';
import { hostSysfs } from '../../../agent/kernel/sysfs.ts';
import { readTopology } from '../../../agent/kernel/topology.ts';
import { readKernelTypes } from '../../../agent/kernel/vmlinux-btf.ts';
import { schedExt } from '../suites/agent-process.ts';
import { fact } from '../suites/facts.ts';
import { KernelLog } from '../suites/kernel-log.ts';
import { bpfCounts } from '../suites/leaks.ts';
import { SoakNode } from './soak-node.ts';

const CYCLES = Number(process.env.SOAK_CYCLES ?? 200);
/** The first ones fill caches; from here on nothing may grow. */
const WARM_UP = Math.min(20, CYCLES / 2);
const GROWTH_MB = 24;

const memoryMb = (file: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'))?.[1]) / 1024;

const held = () => ({
  bpf: bpfCounts(),
  fds: readdirSync('/proc/self/fd').length,
  residentMb: memoryMb('/proc/self/status', 'VmRSS'),
  unreclaimableMb: memoryMb('/proc/meminfo', 'SUnreclaim') + memoryMb('/proc/meminfo', 'Percpu'),
});

describe('attaching', () => {
  test('to a node that is full', async () => {
    const node = new SoakNode('soak-attach');
    const log = new KernelLog();
    try {
      node.saturate();
      const startedAt = performance.now();
      await node.enforce();
      fact('startOnFullNodeMs', Math.round(performance.now() - startedAt));
      await node.expectEnforcing();
    } finally {
      await node.close();
    }
    expect(log.takeTrouble()).toEqual([]);
  });

  test(`${CYCLES} times, and nothing is left`, async () => {
    const log = new KernelLog();
    const types = readKernelTypes(hostSysfs);
    if (types === undefined || isFailure(types)) throw new Error('no BTF here');
    const cycle = async () => {
      const session = await openScheduler({
        topology: readTopology(hostSysfs),
        sysfs: hostSysfs,
        kernelOpsMembers: types.opsMembers,
        onMiss: () => undefined,
        onProblem: (problem) => {
          throw new Error(failureText(problem));
        },
      });
      if (isFailure(session)) throw new Error(failureText(session));
      expect(schedExt('state')).toBe('enabled');
      expect(await session.detach()).toBeUndefined();
      expect(schedExt('state')).toBe('disabled');
    };
    for (let i = 0; i < WARM_UP; i += 1) await cycle();
    const before = held();
    const startedAt = performance.now();
    for (let i = WARM_UP; i < CYCLES; i += 1) await cycle();
    fact('attachDetachMs', Math.round((performance.now() - startedAt) / (CYCLES - WARM_UP)));
    const after = held();
    fact('attachDetachResidentGrowthMb', Math.round(after.residentMb - before.residentMb));
    fact('attachDetachKernelGrowthMb', Math.round(after.unreclaimableMb - before.unreclaimableMb));
    expect({ bpf: after.bpf, fds: after.fds }).toEqual({ bpf: before.bpf, fds: before.fds });
    expect(after.residentMb - before.residentMb).toBeLessThan(GROWTH_MB);
    expect(after.unreclaimableMb - before.unreclaimableMb).toBeLessThan(GROWTH_MB);
    expect(log.takeTrouble()).toEqual([]);
  }, 3_600_000);
});
