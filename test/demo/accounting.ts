/** CPU time of a window, from the cpu.stat files that the load generator read at its two ends. */
import type { LoadResult } from '../bench/open-loop.ts';

/** `usage_usec` of a cpu.stat in seconds; undefined when the text has none. */
export const usageSeconds = (cpuStat: string | undefined): number | undefined => {
  const usage = /^usage_usec (\d+)$/m.exec(cpuStat ?? '');
  return usage === null ? undefined : Number(usage[1]) / 1e6;
};

/** Which cpu.stat files belong to whom. */
export interface CpuAccounts {
  /** By pod name. */
  services: Readonly<Record<string, string>>;
  batch: readonly string[];
  /** Everything else that lives in a cgroup: agent, load generator, the demo itself. */
  other: readonly string[];
}

export interface CpuUse {
  services: Record<string, number>;
  batchSeconds: number;
  otherSeconds: number;
  /** Sum of all, as a share of CPUs x window. */
  accountedShare: number;
}

/** Throws when an account is missing: a pod that vanished in the window makes the phase worthless. */
export const cpuUseOf = (
  result: Pick<LoadResult, 'before' | 'after' | 'windowMs'>,
  accounts: CpuAccounts,
  cpus: number,
): CpuUse => {
  const used = (file: string): number => {
    const before = usageSeconds(result.before[file]);
    const after = usageSeconds(result.after[file]);
    if (before === undefined || after === undefined) throw new Error(`no CPU account in ${file}`);
    return after - before;
  };
  const total = (files: readonly string[]): number => files.reduce((sum, file) => sum + used(file), 0);
  const services = Object.fromEntries(
    Object.entries(accounts.services).map(([name, file]) => [name, used(file)]),
  );
  const batchSeconds = total(accounts.batch);
  const otherSeconds = total(accounts.other);
  const sum = total(Object.values(accounts.services)) + batchSeconds + otherSeconds;
  return { services, batchSeconds, otherSeconds, accountedShare: sum / ((cpus * result.windowMs) / 1000) };
};

export const accountFiles = (accounts: CpuAccounts): string[] => [
  ...Object.values(accounts.services),
  ...accounts.batch,
  ...accounts.other,
];
