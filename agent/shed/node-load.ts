/** How busy the node's CPUs are: /proc/stat, first line, in USER_HZ ticks (proc(5)). Pure parser and delta. */

export interface CpuTicks {
  busy: number;
  total: number;
}

/** @returns undefined where the text has no such line. `guest` is part of `user` already. */
export const parseCpuTicks = (stat: string): CpuTicks | undefined => {
  const line = /^cpu +([0-9 ]+)$/m.exec(stat);
  const fields = line?.[1]?.trim().split(' ').map(Number) ?? [];
  if (fields.length < 4) return undefined;
  const total = fields.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0);
  const [, , , idle = 0, iowait = 0] = fields;
  return { busy: total - idle - iowait, total };
};

/** Shorter spans than this have too few ticks of 10 ms to say anything. */
const MIN_TICKS = 8;

/** Busy share over the last few reads. */
export class NodeLoad {
  #last: CpuTicks | undefined;
  #busy = 0;

  /** @returns 0 .. 1; the value before while too little time has passed. */
  update(now: CpuTicks | undefined): number {
    if (now === undefined) return this.#busy;
    const last = this.#last;
    if (last === undefined) {
      this.#last = now;
      return this.#busy;
    }
    const total = now.total - last.total;
    if (total < 0) this.#last = now;
    if (total < MIN_TICKS) return this.#busy;
    this.#busy = Math.min(1, Math.max(0, (now.busy - last.busy) / total));
    this.#last = now;
    return this.#busy;
  }
}
