/** What one pod shows in one step, and what it does about its own affairs: cpu.max, queue, CPUs of its own. Pure. */
import { demandCpusOf, needCpus, nextOffered, type Offered } from './demand.ts';
import { aOf, IDLE_LOOP, isIdle, type Loop, SATURATED, stepLoop } from './loop.ts';
import { NO_SEVERITY, type PodSample, type Severity, severityOf } from './severity.ts';
import type { PodShed, ShedInput } from './shed-state.ts';

/** Share of throttled periods, and of time with a task of the pod waiting, from which its own CPUs count as saturated. */
export const THROTTLED = 0.1;
const PRESSED = 0.6;

export interface Judged {
  sample: PodSample;
  severity: Severity;
  offered: Offered;
  demandCpus: number;
  own: Loop;
}

export interface Domain {
  busy: number;
  busyMean: number;
}

/** The pod's own loop: its quota is one resource, and its queue and CPUs of its own are others. */
const stepOwn = (
  sample: PodSample,
  severity: Severity,
  demandCpus: number,
  before: Loop,
  node: Domain,
  dtMs: number,
): Loop => {
  const throttled = sample.throttled > THROTTLED;
  const pressed = (sample.pressure ?? 0) >= PRESSED;
  const nodeIsFull = node.busy >= SATURATED;
  const isFull = nodeIsFull || throttled || pressed;
  const byQuota = throttled ? severity.quota : 0;
  const byQueue = isFull ? severity.queue : 0;
  const byCpus = pressed && !nodeIsFull ? severity.node : 0;
  const need = throttled ? needCpus(demandCpus, 0, sample.quotaCpus ?? Number.POSITIVE_INFINITY) : 0;
  return stepLoop(
    before,
    {
      severity: Math.max(byQuota, byQueue, byCpus),
      isNews: byQueue < Math.max(byQuota, byCpus) || sample.queueIsNews,
      confirmed: isFull,
      feedForward: demandCpus > 0 ? aOf(need / demandCpus) : 0,
      beyond: 1,
      busy: isFull ? 1 : 0,
      busyMean: throttled ? 1 : node.busyMean,
    },
    dtMs,
  );
};

const NONE = 0.001;

/** While nothing is seen of the pod, judging it again would say the same. */
export const isSettled = ({ sample, severity, offered, own }: Judged): boolean =>
  sample.usedCpus === 0 &&
  Math.max(severity.node, severity.quota, severity.queue) < NONE &&
  offered.usedCpus < NONE &&
  offered.admitted > 1 - NONE &&
  isIdle(own);

export const judge = (
  sample: PodSample,
  before: PodShed | undefined,
  input: ShedInput,
  feed: 'kernel' | 'pressure',
  domain: Domain,
  dtMs: number,
): Judged => {
  const severity = severityOf(sample, feed, before?.severity ?? NO_SEVERITY, dtMs);
  const shed = input.dryRun ? 0 : (before?.level ?? 0);
  const offered = nextOffered(before?.offered, sample.usedCpus, shed, dtMs);
  const demandCpus = demandCpusOf(offered);
  const own = stepOwn(sample, severity, demandCpus, before?.own ?? IDLE_LOOP, domain, dtMs);
  return { sample, severity, offered, demandCpus, own };
};
