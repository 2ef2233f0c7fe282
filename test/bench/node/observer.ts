/**
 * Counts bursts and misses of the pods with an SLO, with the agent's own observer object and under every policy
 * alike. The bench reads it itself: an agent beside each policy would cost CPU under some and not under others.
 */
import { failureText, isFailure } from '../../../agent/failure.ts';
import { SLO_SLOT_FIRST } from '../../../agent/kernel/layout.gen.ts';
import { openObserver } from '../../../agent/kernel/observer.ts';
import { type KernelSession, NO_SLOT } from '../../../agent/kernel/port.ts';
import { hostSysfs } from '../../../agent/kernel/sysfs.ts';
import { readTopology } from '../../../agent/kernel/topology.ts';
import type { MeasuredWaits } from '../measured.ts';
import type { NodePod } from './pods.ts';

const NS_PER_MS = 1e6;
/** As architecture section 3: where only importance is given. */
const DEFAULT_BUDGET_MS = 100;

export interface BenchObserver {
  read(): Record<string, MeasuredWaits>;
  close(): void;
}

const open = (): KernelSession => {
  const session = openObserver({
    topology: readTopology(hostSysfs),
    onMiss: () => undefined,
    onProblem: (problem) => process.stderr.write(`observer: ${failureText(problem)}\n`),
  });
  if (isFailure(session)) throw new Error(failureText(session));
  return session;
};

/** Counts for `pods` until it is closed. Throws where tracing programs cannot run. */
export const observe = (pods: readonly NodePod[]): BenchObserver => {
  const session = open();
  for (const [index, { spec, cgroupId }] of pods.entries()) {
    const slot = SLO_SLOT_FIRST + index;
    const failed = session.slots.assign(slot, {
      cgroupId: BigInt(cgroupId),
      budgetNs: (spec.budgetMs ?? DEFAULT_BUDGET_MS) * NS_PER_MS,
      importance: spec.importance ?? 50,
      reservedCpus: 0,
      creditCapNs: 0,
      creditSlot: slot,
      sloSlot: slot,
      parentSlot: NO_SLOT,
      weight: 100,
      idle: false,
      quotaNs: 0,
      periodUs: 0,
      limited: false,
      deadline: false,
    });
    if (failed) throw new Error(failureText(failed));
  }
  session.slots.publish();
  session.beat();
  return {
    read: () =>
      Object.fromEntries(
        pods.map(({ spec }, index) => {
          const { bursts, misses } = session.slots.stats(SLO_SLOT_FIRST + index);
          return [spec.name, { bursts, misses }];
        }),
      ),
    close: () => session.close(),
  };
};

/** What was counted between two readings. */
export const grown = (
  before: Readonly<Record<string, MeasuredWaits>>,
  after: Readonly<Record<string, MeasuredWaits>>,
): Record<string, MeasuredWaits> =>
  Object.fromEntries(
    Object.entries(after).map(([pod, { bursts, misses }]) => {
      const first = before[pod];
      const counts = Object.entries(misses).map(([reason, count]) => [
        reason,
        count - (first?.misses[reason] ?? 0),
      ]);
      return [pod, { bursts: bursts - (first?.bursts ?? 0), misses: Object.fromEntries(counts) }];
    }),
  );
