/** One window on the node: load, CPU accounts, waits, and what the programs cost, as plain figures. */
import { readFileSync } from 'node:fs';
import { usageSeconds } from '../../demo/accounting.ts';
import { cgroupDir, otherCgroups } from '../../demo/node-cgroups.ts';
import { type PacerResult, readProgress, readSchedule } from '../load-files.ts';
import type {
  MeasuredProgram,
  MeasuredPrograms,
  MeasuredProgress,
  MeasuredService,
  MeasuredWaits,
  MeasuredWindow,
} from '../measured.ts';
import { serviceRatePerSecond } from '../scenario.ts';
import { type LoadOptions, type LoadPart, runLoad } from './load.ts';
import { type BenchObserver, grown } from './observer.ts';
import { type NodePod, PODS_STAT } from './pods.ts';
import { countPrograms, programsBetween, readPrograms, readWakeUps } from './programs.ts';

/** With more pods their CPU is read as one sum: reading thousands of files would be load itself. */
const ACCOUNTED_PODS_MAX = 64;

const statOf = (cgroup: string): string => `${cgroupDir(cgroup)}/cpu.stat`;

const isSplit = (pod: NodePod): boolean => pod.containers.length > 1;

const accountFiles = (pods: readonly NodePod[], policyCgroup: string | undefined): string[] => [
  PODS_STAT,
  ...otherCgroups().map(statOf),
  ...(policyCgroup === undefined ? [] : [statOf(policyCgroup)]),
  ...(pods.length > ACCOUNTED_PODS_MAX
    ? []
    : pods.flatMap((pod) => [
        statOf(pod.cgroup),
        ...(isSplit(pod) ? pod.containers.map(({ cgroup }) => statOf(cgroup)) : []),
      ])),
];

const used = (paced: PacerResult, file: string): number | undefined => {
  const before = usageSeconds(paced.before[file]);
  const after = usageSeconds(paced.after[file]);
  return before === undefined || after === undefined ? undefined : after - before;
};

const present = (entries: readonly (readonly [string, number | undefined])[]): Record<string, number> =>
  Object.fromEntries(entries.filter((entry): entry is [string, number] => entry[1] !== undefined));

const serviceOf = (part: LoadPart, paced: PacerResult, options: LoadOptions): MeasuredService[] => {
  if (part.work.kind !== 'service') return [];
  const { originNs, requests } = readSchedule(readFileSync(part.file));
  const fromMs = (paced.fromNs - originNs) / 1e6;
  const toMs = (paced.toNs - originNs) / 1e6;
  const endMs = toMs + options.graceMs;
  const offered = requests.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  const isOpenAt = (ms: number) => (doneMs: number | undefined) => doneMs === undefined || doneMs > ms;
  const late = offered.filter(({ doneMs }) => isOpenAt(toMs)(doneMs));
  return [
    {
      pod: part.pod.spec.name,
      requestMs: part.work.requestMs,
      ratePerSecond: serviceRatePerSecond(part.work, options.cpus),
      seed: options.seeds[part.pod.spec.name] ?? 0,
      warmUpMs: options.warmUpMs,
      startsMs: offered.map(({ atMs }) => atMs - fromMs),
      latenciesMs: offered.map(({ atMs, doneMs }) => (doneMs ?? endMs) - atMs),
      lowerBounds: offered.filter(({ doneMs }) => doneMs === undefined).length,
      servedInWindow: requests.filter(
        ({ doneMs }) => doneMs !== undefined && doneMs >= fromMs && doneMs < toMs,
      ).length,
      backlog: late.length,
      oldestMs: Math.max(0, ...late.map(({ atMs }) => toMs - atMs)),
    },
  ];
};

const progressOf = (part: LoadPart): MeasuredProgress[] => {
  if (part.work.kind === 'service') return [];
  const threads = readProgress(readFileSync(part.file)) ?? [];
  const counts = threads.map(({ windowCount }) => windowCount);
  return [
    {
      pod: part.pod.spec.name,
      container: part.container,
      kind: part.work.kind,
      threads: threads.length,
      count: counts.reduce((sum, count) => sum + count, 0),
      maxGapMs: Math.max(0, ...threads.map(({ windowGapMs }) => windowGapMs)),
      leastCount: Math.min(...counts),
      mostCount: Math.max(...counts),
    },
  ];
};

interface ProgramsMark {
  atMs: number;
  wakeUps: number;
  programs: Map<number, MeasuredProgram>;
}

export interface WindowContext {
  policy: string;
  caseName: string;
  scheduler: string;
  load: LoadOptions;
  /** Of the policy's own processes, when it has any. */
  policyCgroup: string | undefined;
  observer: BenchObserver | undefined;
  countPrograms: boolean;
}

const markPrograms = (): ProgramsMark => ({
  atMs: performance.now(),
  wakeUps: readWakeUps(),
  programs: readPrograms(),
});

const betweenMarks = (from: ProgramsMark, to: ProgramsMark): MeasuredPrograms => ({
  programs: programsBetween(from.programs, to.programs),
  wakeUps: to.wakeUps - from.wakeUps,
  seconds: (to.atMs - from.atMs) / 1000,
});

/** Throws when an account is missing or the load did not run. */
export const measureWindow = async (
  pods: readonly NodePod[],
  context: WindowContext,
): Promise<MeasuredWindow> => {
  const { load, observer } = context;
  const waits: Record<string, MeasuredWaits>[] = [];
  const marks: ProgramsMark[] = [];
  const mark = (): void => {
    if (observer !== undefined) waits.push(observer.read());
    if (context.countPrograms) marks.push(markPrograms());
  };
  if (context.countPrograms) countPrograms(true);
  const files = accountFiles(pods, context.policyCgroup);
  const { parts, paced } = await runLoad(pods, files, load, { onFrom: mark, onTo: mark });
  if (context.countPrograms) countPrograms(false);
  const podsSeconds = used(paced, PODS_STAT);
  const others = otherCgroups().map((cgroup) => used(paced, statOf(cgroup)) ?? 0);
  if (podsSeconds === undefined) throw new Error(`no CPU account in ${PODS_STAT}`);
  const policySeconds =
    context.policyCgroup === undefined ? undefined : used(paced, statOf(context.policyCgroup));
  const [before, after] = waits;
  const [from, to] = marks;
  return {
    policy: context.policy,
    case: context.caseName,
    scheduler: context.scheduler,
    windowMs: (paced.toNs - paced.fromNs) / 1e6,
    maxLateMs: paced.maxLateMs,
    services: parts.flatMap((part) => serviceOf(part, paced, load)),
    progress: parts.flatMap((part) => progressOf(part)),
    podSeconds: present(pods.map((pod) => [pod.spec.name, used(paced, statOf(pod.cgroup))])),
    containerSeconds: present(
      pods
        .filter(isSplit)
        .flatMap((pod) =>
          pod.containers.map(({ spec, cgroup }) => [
            `${pod.spec.name}/${spec.name}`,
            used(paced, statOf(cgroup)),
          ]),
        ),
    ),
    podsSeconds,
    otherSeconds: others.reduce((sum, seconds) => sum + seconds, 0),
    ...(policySeconds === undefined ? {} : { policySeconds }),
    waits: before === undefined || after === undefined ? {} : grown(before, after),
    ...(from === undefined || to === undefined ? {} : { programs: betweenMarks(from, to) }),
  };
};
