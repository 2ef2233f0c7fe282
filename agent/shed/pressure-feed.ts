/**
 * What the cgroup files say of each pod: pressure (PSI), CPU time and throttled periods. Plain files, so it goes on
 * when the kernel programs are gone.
 */
import { readFileSync } from 'node:fs';
import { type CpuStat, parseCpuPressureTotalNs, parseCpuStat } from '../cgroups/cgroup-files.ts';

export interface PressureTotals {
  /** undefined: this kernel has no PSI. */
  pressedNs: number | undefined;
  stat: CpuStat;
}

export interface Pressure {
  /** Share of time in which some task waited for CPU, 0 .. 1. */
  share: number | undefined;
  usedCpus: number;
  /** Throttled periods / all, 0 .. 1. */
  throttled: number;
}

export type ReadTotals = (path: string) => PressureTotals | undefined;

/** @param mount of the cgroup hierarchy. */
export const readTotalsBelow =
  (mount: string): ReadTotals =>
  (path) => {
    try {
      const stat = parseCpuStat(readFileSync(`${mount}${path}/cpu.stat`, 'latin1'));
      return { pressedNs: readPressure(`${mount}${path}/cpu.pressure`), stat };
    } catch {
      return undefined; // the cgroup went away
    }
  };

const readPressure = (file: string): number | undefined => {
  try {
    return parseCpuPressureTotalNs(readFileSync(file, 'latin1'));
  } catch {
    return undefined; // PSI is off
  }
};

interface Followed {
  atMs: number;
  totals: PressureTotals;
  latest: Pressure;
}

const UNKNOWN: Pressure = { share: undefined, usedCpus: 0, throttled: 0 };
/** Shorter spans say little. */
const LEAST_SPAN_MS = 50;

const share = (part: number, whole: number): number =>
  whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0;

const between = (before: PressureTotals, now: PressureTotals, spanMs: number): Pressure => {
  const spanNs = spanMs * 1e6;
  const known = before.pressedNs !== undefined && now.pressedNs !== undefined;
  const periods = now.stat.periods - before.stat.periods;
  return {
    share: known ? share((now.pressedNs ?? 0) - (before.pressedNs ?? 0), spanNs) : undefined,
    usedCpus: Math.max(0, now.stat.usageNs - before.stat.usageNs) / spanNs,
    throttled: share(now.stat.throttledPeriods - before.stat.throttledPeriods, periods),
  };
};

export class PressureFeed {
  readonly #read: ReadTotals;
  readonly #followed = new Map<string, Followed>();
  #cursor = 0;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(read: ReadTotals) {
    this.#read = read;
  }

  /** ms since some pod was last read. */
  ageMs(nowMs: number): number {
    return nowMs - this.#readAtMs;
  }

  /** Reads `most` of the pods, two small files each, in turns. */
  turn(paths: readonly string[], most: number, nowMs: number): void {
    const wanted = new Set(paths);
    for (const path of this.#followed.keys()) if (!wanted.has(path)) this.#followed.delete(path);
    const count = Math.min(most, paths.length);
    for (let read = 0; read < count; read += 1) {
      const path = paths[this.#cursor % paths.length];
      this.#cursor += 1;
      if (path !== undefined) this.#readOne(path, nowMs);
    }
  }

  get(path: string | undefined): Pressure {
    return (path === undefined ? undefined : this.#followed.get(path)?.latest) ?? UNKNOWN;
  }

  #readOne(path: string, nowMs: number): void {
    const before = this.#followed.get(path);
    if (before !== undefined && nowMs - before.atMs < LEAST_SPAN_MS) return;
    const totals = this.#read(path);
    if (totals === undefined) return;
    const latest = before === undefined ? UNKNOWN : between(before.totals, totals, nowMs - before.atMs);
    this.#followed.set(path, { atMs: nowMs, totals, latest });
    if (before !== undefined) this.#readAtMs = nowMs;
  }
}
