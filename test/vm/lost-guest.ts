// Runs that say nothing about what ran in them.
import { readFileSync } from 'node:fs';
import type { VmResult } from './boot.ts';

/**
 * QEMU's emulation with a thread per CPU can run a breakpoint that the guest's kernel put into its own code while
 * patching it and has already taken out again; the guest then dies of `Oops: int3`. Seen once in some ten runs, in
 * __schedule, when a static key of the scheduler is switched. No real CPU does that: such a run says nothing.
 */
export const diedOfEmulation = (result: VmResult): boolean =>
  result.accel === 'tcg' &&
  result.exitCode === undefined &&
  readFileSync(result.console, 'utf8').includes('Oops: int3');
