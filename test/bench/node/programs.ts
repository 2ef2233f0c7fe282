/** Run-time statistics of the scheduler's own BPF programs (kernel.bpf_stats_enabled). */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type { MeasuredProgram } from '../measured.ts';

const SWITCHES = ['/proc/sys/kernel/bpf_stats_enabled', '/proc/sys/kernel/sched_schedstats'];

export const countPrograms = (on: boolean): void => {
  for (const file of SWITCHES) writeFileSync(file, on ? '1' : '0');
};

/** Wake-ups of all tasks since boot: of each `cpu` line of /proc/schedstat the fifth number (ttwu_count). */
export const wakeUpsOf = (schedstat: string): number =>
  [...schedstat.matchAll(/^cpu\d+ (?:\d+ ){4}(\d+) /gm)].reduce((sum, match) => sum + Number(match[1]), 0);

export const readWakeUps = (): number => wakeUpsOf(readFileSync('/proc/schedstat', 'utf8'));

interface BpftoolProgram {
  id: number;
  type: string;
  name?: string;
  run_time_ns?: number;
  run_cnt?: number;
}

/** Every struct_ops program that is loaded, by id; those that never ran are left out. */
export const readPrograms = (): Map<number, MeasuredProgram> => {
  const text = execFileSync('bpftool', ['-j', 'prog', 'show'], { encoding: 'utf8', maxBuffer: 16 << 20 });
  const programs: BpftoolProgram[] = JSON.parse(text);
  return new Map(
    programs
      .filter((program) => program.type === 'struct_ops' && program.run_cnt !== undefined)
      .map(({ id, name = '', run_cnt = 0, run_time_ns = 0 }) => [
        id,
        { name, runs: run_cnt, ns: run_time_ns },
      ]),
  );
};

export const programsBetween = (
  before: ReadonlyMap<number, MeasuredProgram>,
  after: ReadonlyMap<number, MeasuredProgram>,
): MeasuredProgram[] =>
  [...after].map(([id, { name, runs, ns }]) => ({
    name,
    runs: runs - (before.get(id)?.runs ?? 0),
    ns: ns - (before.get(id)?.ns ?? 0),
  }));
