// Loads that are hard on a scheduler: forks, affinity changes, cgroups that come and go under their tasks.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './agent-process.ts';
import type { GuestCgroup } from './guest-cgroup.ts';
import type { KubeletNode, KubeletPod } from './kubelet-node.ts';

/** Forks, busy threads and affinity changes by stress-ng inside `cgroup`, as sched_ext's own CI does. */
export const affinityChurn = async (cgroup: GuestCgroup, seconds: number): Promise<void> => {
  const log = `/tmp/stress-ng-${randomUUID()}.log`;
  const workers = '--cpu 2 --fork 2 --affinity 2 --affinity-delay 1 --affinity-rand --affinity-pin';
  const stress = cgroup.run(
    `exec stress-ng ${workers} --aggressive -M --temp-path /tmp --timeout ${seconds}s > ${log} 2>&1`,
  );
  const [code, signal] = await once(stress, 'exit');
  const text = readFileSync(log, 'utf8');
  appendFileSync('/out/stress-ng.log', text);
  rmSync(log);
  if (code !== 0) throw new Error(`stress-ng ended with ${code ?? signal}:\n${text}`);
};

export interface CgroupChurned {
  pods: number;
  moves: number;
}

/** Groups of tasks that wander at the same time. */
const GROUPS = 3;
const HOGS = 2;
/** Forks all the time, so that some children are born in a cgroup that is about to go. */
const FORKER = 'while :; do sleep 0.01; done';
/** Pods that nothing ever runs in, for each that the tasks pass through. */
const EMPTY_PODS = 4;
const STAY_MS = 20;

/**
 * Pods come and go under groups of tasks that move from one to the next. Every second pod is throttled nearly all the
 * time, so tasks leave it throttled, and the pod that they left is removed in the same moment.
 */
export const cgroupChurn = async (node: KubeletNode, seconds: number): Promise<CgroupChurned> => {
  const churned = { pods: 0, moves: 0 };
  const until = performance.now() + seconds * 1000;
  const groups = Array.from({ length: GROUPS }, (_, i) => wander(node, `churn-${i}`, until, churned));
  await Promise.all(groups);
  return churned;
};

const wander = async (
  node: KubeletNode,
  name: string,
  until: number,
  churned: CgroupChurned,
): Promise<void> => {
  let here = node.add(`${name}-0`, {});
  here.container().spin(HOGS);
  here.container().run(FORKER);
  await eventually('the tasks have come', () => (here.container().pids().length > HOGS ? true : undefined));
  for (let n = 1; performance.now() < until; n += 1) {
    const limit = n % 2 === 0 ? {} : { limitMilli: 10 };
    const next = node.add(`${name}-${n}`, { containers: { main: { requestMilli: 10, ...limit } } });
    const empty = Array.from({ length: EMPTY_PODS }, (_, i) => node.add(`${name}-${n}-${i}`, {}));
    churned.moves += moveTasks(here, next);
    await Promise.all([here, ...empty].map((pod) => node.remove(pod)));
    churned.pods += 1 + empty.length;
    here = next;
    await sleep(STAY_MS);
  }
  await node.remove(here);
};

/** How many moved; a task that ends meanwhile does not count. */
const moveTasks = (from: KubeletPod, to: KubeletPod): number => {
  let moved = 0;
  for (const pid of from.container().pids()) {
    try {
      to.container().write('cgroup.procs', pid);
      moved += 1;
    } catch {
      // ended between the list and the move
    }
  }
  return moved;
};
