// How long tasks wait for a CPU, seen from outside the product.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestCgroup } from './guest-cgroup.ts';

/** Worst wait in ms of a task of `cgroup` that wakes up every 20 ms, over `seconds`. */
export const worstWakeupMs = async (cgroup: GuestCgroup, seconds: number): Promise<number> => {
  const dir = mkdtempSync('/tmp/probe-');
  const file = join(dir, 'worst-ms');
  try {
    const probe = cgroup.run(`exec node test/vm/suites/wait-probe.ts ${seconds} > ${file}`);
    const [code] = await once(probe, 'exit');
    if (code !== 0) throw new Error(`the probe in ${cgroup.path} ended with ${code}`);
    return Number(readFileSync(file, 'utf8'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

/** CPU time of a task in ns; undefined: it has ended. */
const ranNs = (pid: number): number | undefined => {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);
  } catch {
    return undefined;
  }
};

/** Follows tasks that never sleep: the longest time in which one made no progress. As fine as sample() is called. */
export class ProgressWatch {
  readonly #seen = new Map<number, { ran: number; sinceMs: number }>();
  #worstMs = 0;

  get worstMs(): number {
    return this.#worstMs;
  }

  get tasks(): number {
    return this.#seen.size;
  }

  sample(pids: readonly number[]): void {
    for (const pid of pids) {
      const ran = ranNs(pid);
      const nowMs = performance.now();
      const before = this.#seen.get(pid);
      if (ran === undefined) this.#seen.delete(pid);
      else if (before === undefined || ran > before.ran) this.#seen.set(pid, { ran, sinceMs: nowMs });
      else this.#worstMs = Math.max(this.#worstMs, nowMs - before.sinceMs);
    }
  }
}
