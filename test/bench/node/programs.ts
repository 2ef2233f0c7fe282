/** Run-time statistics of the scheduler's own BPF programs (kernel.bpf_stats_enabled). */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { MeasuredProgram } from '../measured.ts';

const SWITCH = '/proc/sys/kernel/bpf_stats_enabled';

export const countPrograms = (on: boolean): void => writeFileSync(SWITCH, on ? '1' : '0');

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
