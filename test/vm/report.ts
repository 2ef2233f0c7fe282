// What one kernel's run says, as files for people and CI. Pure.
import { fromJunit, type TestOutcome, toJunit } from '../junit.ts';
import type { VmResult } from './boot.ts';
import type { Kernel } from './kernels.ts';
import type { Clock } from './qemu.ts';
import type { SuiteRun } from './suite-run.ts';

/** build/test/vm-<kernel>.json */
export interface VmReport {
  readonly kernel: string;
  /** `uname -r` of the kernel that ran. */
  readonly release: string;
  readonly expectation: Kernel['expectation'];
  readonly accel: VmResult['accel'];
  readonly clock: Clock;
  readonly cpus: number;
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What the suites measured. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/**
 * The outcomes of a run from its JUnit text, with a failed test added for what no suite could say: the machine was
 * lost, or vitest failed beside the tests, or no test passed.
 */
export function runOutcomes(
  result: Pick<VmResult, 'exitCode' | 'failure'>,
  junit: string | undefined,
): TestOutcome[] {
  const outcomes = (junit === undefined ? undefined : fromJunit(junit)) ?? [];
  const trouble = runTrouble(result, outcomes);
  if (trouble === undefined) return outcomes;
  return [
    ...outcomes,
    { group: 'vm', name: 'the suites run to their end', seconds: 0, state: 'failed', detail: trouble },
  ];
}

function runTrouble(
  result: Pick<VmResult, 'exitCode' | 'failure'>,
  outcomes: readonly TestOutcome[],
): string | undefined {
  if (result.failure !== undefined) return result.failure;
  if (outcomes.some((outcome) => outcome.state === 'failed')) return undefined;
  if (result.exitCode !== 0) return `vitest ended with ${result.exitCode}`;
  return outcomes.some((outcome) => outcome.state === 'passed') ? undefined : 'no test passed';
}

export function vmReport(
  run: { readonly kernel: Kernel; readonly clock: Clock; readonly cpus: number },
  { result, outcomes, facts, seconds }: SuiteRun,
): VmReport {
  const count = (state: TestOutcome['state']): number => outcomes.filter((one) => one.state === state).length;
  return {
    kernel: run.kernel.name,
    release: result.release,
    expectation: run.kernel.expectation,
    accel: result.accel,
    clock: run.clock,
    cpus: run.cpus,
    seconds,
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped'),
    facts,
  };
}

/** What a guest left in facts.json. */
export function readFacts(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined) return {};
  try {
    const facts: unknown = JSON.parse(text);
    if (typeof facts === 'object' && facts !== null && !Array.isArray(facts)) return { ...facts };
  } catch {
    // A machine that was lost may have left half a file; its test has failed already.
  }
  return {};
}

export function junitOf(kernel: Kernel, outcomes: readonly TestOutcome[]): string {
  return toJunit(`vm-${kernel.name}`, outcomes);
}
