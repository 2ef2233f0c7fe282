/** What the node's own programs used and waited for, as node/daemons.sh says it. Pure. */

/** Since the program started, in ms. */
export interface DaemonTimes {
  /** CPU time of its cgroup, of processes that are gone, too. */
  usedMs: number;
  /** CPU time and time in a run queue, summed over the threads that live. */
  ranMs: number;
  waitedMs: number;
  /** Time in which some thread of it was runnable and did not run. */
  pressureMs: number;
}

export interface NodeSample {
  /** Since boot. */
  atMs: number;
  daemons: Readonly<Record<string, DaemonTimes>>;
}

const PREFIX = 'daemons ';

/** @returns undefined for any other line, and for one that another program wrote into. */
export const readDaemons = (line: string): NodeSample | undefined => {
  if (!line.startsWith(PREFIX)) return undefined;
  try {
    const { atMs, ...daemons } = JSON.parse(line.slice(PREFIX.length));
    return { atMs, daemons };
  } catch {
    return undefined;
  }
};

/** One line a program: CPUs used, waiting time over running time, part of the time in which it waited. */
export const daemonsBetween = (from: NodeSample, to: NodeSample): string => {
  const tookMs = to.atMs - from.atMs;
  const parts = Object.entries(to.daemons).map(([name, now]) => {
    const before = from.daemons[name] ?? { usedMs: 0, ranMs: 0, waitedMs: 0, pressureMs: 0 };
    const used = now.usedMs - before.usedMs;
    const ran = now.ranMs - before.ranMs;
    const waited = now.waitedMs - before.waitedMs;
    const pressure = now.pressureMs - before.pressureMs;
    const ratio = ran > 0 ? (waited / ran).toFixed(2) : '-';
    return `${name} ${(used / tookMs).toFixed(2)} CPUs wait/run ${ratio} waiting ${((100 * pressure) / tookMs).toFixed(0)} %`;
  });
  return `${(tookMs / 1000).toFixed(0)} s: ${parts.join('; ')}`;
};
