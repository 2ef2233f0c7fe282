/** A KernelSide over fake kernels: what a test says about preflight, attaching and exits happens. */
import type { Failure } from '../../agent/failure.ts';
import type { AttachFailure, CgroupEvent, Preflight } from '../../agent/kernel/port.ts';
import type { KernelSide } from '../../agent/kernel-side.ts';
import { FakeKernel } from './kernel.ts';

export const CAN_ALL: Preflight = { canObserve: true, canEnforce: true, reasons: [], kernel: '7.3.4-fake' };

export class FakeKernelSide implements KernelSide {
  preflightAnswer: Preflight = CAN_ALL;
  /** What openScheduler answers next; undefined: a scheduler. */
  schedulerFailure: AttachFailure | undefined;
  observerFailure: Failure | undefined;
  feedFailure: Failure | undefined;
  readonly sessions: FakeKernel[] = [];
  cgroupsDropped = 0;
  hotplugs = 0n;
  #onCgroup: ((event: CgroupEvent) => void) | undefined;

  /** The session that is open now. */
  get session(): FakeKernel {
    const session = this.sessions.at(-1);
    if (session === undefined) throw new Error('no session was opened');
    return session;
  }

  tell(event: Omit<CgroupEvent, 'truncated'> & { truncated?: boolean }): void {
    this.#onCgroup?.({ truncated: false, ...event });
  }

  preflight = async (): Promise<Preflight> => this.preflightAnswer;

  openObserver: KernelSide['openObserver'] = (events) =>
    this.observerFailure ?? this.#open(new FakeKernel({ kind: 'observer', llcs: 2, events }));

  openScheduler: KernelSide['openScheduler'] = async (events) =>
    this.schedulerFailure ?? this.#open(new FakeKernel({ kind: 'scheduler', llcs: 2, events }));

  cpuChanges = (): bigint => this.hotplugs;

  openCgroupFeed: KernelSide['openCgroupFeed'] = (onCgroup) => {
    if (this.feedFailure !== undefined) return this.feedFailure;
    this.#onCgroup = onCgroup;
    return { dropped: () => this.cgroupsDropped, close: () => undefined };
  };

  detach: KernelSide['detach'] = async (session) => {
    session.close();
    return undefined;
  };

  #open(session: FakeKernel): FakeKernel {
    this.sessions.push(session);
    return session;
  }
}
