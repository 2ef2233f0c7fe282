/** The kernel side with a real kernel behind it. */
import { isFailure } from './failure.ts';
import { openCgroupEvents } from './kernel/cgroup-events.ts';
import { readNodeFacts } from './kernel/node-facts.ts';
import { openObserver } from './kernel/observer.ts';
import { type PreflightOptions, preflight } from './kernel/preflight.ts';
import { openScheduler } from './kernel/scheduler.ts';
import { hostSysfs } from './kernel/sysfs.ts';
import { readHotplugSeq, readTopology } from './kernel/topology.ts';
import type { KernelSide } from './kernel-side.ts';

export interface RealKernelOptions extends PreflightOptions {
  /** --watchdog-ms */
  watchdogMs: number;
}

export const realKernel = (options: RealKernelOptions): KernelSide => {
  let kernelOpsMembers: readonly string[] = [];
  return {
    preflight: async () => {
      const facts = readNodeFacts(hostSysfs);
      if (facts.types !== undefined && !isFailure(facts.types)) kernelOpsMembers = facts.types.opsMembers;
      return preflight(facts, options);
    },
    openObserver: (events) => openObserver({ ...events, topology: readTopology(hostSysfs) }),
    openScheduler: async (events) =>
      await openScheduler({
        ...events,
        topology: readTopology(hostSysfs),
        sysfs: hostSysfs,
        kernelOpsMembers,
        watchdogMs: options.watchdogMs,
      }),
    cpuChanges: () => readHotplugSeq(hostSysfs),
    openCgroupFeed: (onCgroup, onProblem) => openCgroupEvents({ onCgroup, onProblem }),
    detach: async (session) => {
      if ('detach' in session && typeof session.detach === 'function') return await session.detach();
      session.close();
      return undefined;
    },
  };
};
