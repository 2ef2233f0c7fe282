/** Measured phases -> the whole result. Pure. */
import { phaseResult } from './phase-result.ts';
import type { DemoResult, Measured } from './result.ts';
import { targetsOf } from './targets.ts';
import { find, REPORTED, validityOf } from './validity.ts';

export const judge = (
  measured: Measured,
  environment: DemoResult['environment'],
  clock: DemoResult['clock'],
): DemoResult => {
  const phases = REPORTED.flatMap((name) => {
    const phase = find(measured, name);
    return phase === undefined ? [] : [phaseResult(phase, name, measured)];
  });
  return {
    environment,
    clock,
    kernel: measured.kernel,
    cpus: measured.cpus,
    pods: measured.pods,
    phases,
    validity: validityOf(measured),
    targets: targetsOf(phases, measured.cpus),
  };
};
