/** The kernel side as the agent uses it; real-kernel.ts has the one with a kernel, test/fakes one without. */
import type { Failure } from './failure.ts';
import type { AttachFailure, CgroupEvent, KernelSession, MissEvent, Preflight } from './kernel/port.ts';

export interface CgroupFeed {
  /** Events lost so far. */
  dropped(): number;
  close(): void;
}

export interface SessionEvents {
  onMiss(event: MissEvent): void;
  onProblem(problem: Failure): void;
}

export interface KernelSide {
  preflight(): Promise<Preflight>;
  openObserver(events: SessionEvents): KernelSession | Failure;
  openScheduler(events: SessionEvents): Promise<KernelSession | AttachFailure>;
  /** Moves whenever a CPU comes or goes; undefined: the kernel has no sched_ext. */
  cpuChanges(): bigint | undefined;
  openCgroupFeed(
    onCgroup: (event: CgroupEvent) => void,
    onProblem: (problem: Failure) => void,
  ): CgroupFeed | Failure;
  /** Ends a session; resolves when the kernel has let go. */
  detach(session: KernelSession): Promise<Failure | undefined>;
}
