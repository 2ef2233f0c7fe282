// Runs that say nothing about what ran in them.
import { readFileSync } from 'node:fs';
import type { VmResult } from './boot.ts';

/**
 * With a thread for each CPU, QEMU translates a guest's code beside the CPU that changes it: what it read just before
 * the change can be kept after it. A kernel that patches itself puts a breakpoint there for a moment, so the guest can
 * run that later and die of `Oops: int3` (in __schedule, when a static key of the scheduler is switched; seen with
 * 7.2.22 and 10.0.13). No real CPU does that: such a run says nothing of what it ran.
 */
export const diedOfEmulation = (result: VmResult): boolean =>
  result.accel === 'tcg' &&
  result.exitCode === undefined &&
  readFileSync(result.console, 'utf8').includes('Oops: int3');
