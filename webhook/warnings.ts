/**
 * The warnings that `kubectl apply` prints. The API server cuts a warning at 256 characters and drops all beyond
 * 4096 in total (k8s.io/docs: "Dynamic Admission Control", response), so there are few and they are short.
 */
import { INJECT_KEY } from '../slo/annotations.ts';
import type { Clamp, Resolution } from '../slo/slo.ts';
import { ENDPOINT_ENV } from './endpoint.ts';

export const WARNINGS_MAX = 10;

export interface WarningContext {
  /** Why the sidecar that was asked for is not there. */
  obstacle?: string | undefined;
  /** The namespace's caps are not known, or may be old. */
  capsUnknown: boolean;
}

export function warningsOf(resolution: Resolution, { obstacle, capsUnknown }: WarningContext): string[] {
  const slos = [resolution.pod, ...resolution.containers.values()];
  const clamps = slos.flatMap((slo) => slo?.clamped ?? []);
  const all = new Set([
    ...clamps.map(clampWarning),
    ...resolution.problems.map((problem) => problem.message),
  ]);
  if (clamps.length > 0 && capsUnknown) {
    all.add('scx-slo: the caps of this namespace are not known at the moment; the built-in ones hold');
  }
  if (obstacle !== undefined) {
    all.add(`${INJECT_KEY}: "sidecar": ${obstacle}; only ${ENDPOINT_ENV} was added`);
  }
  const warnings = [...all];
  return warnings.length <= WARNINGS_MAX
    ? warnings
    : [
        ...warnings.slice(0, WARNINGS_MAX - 1),
        `and ${warnings.length - WARNINGS_MAX + 1} more about scx-slo.io annotations`,
      ];
}

function clampWarning(clamp: Clamp): string {
  switch (clamp.field) {
    case 'shed':
      return 'scx-slo.io/shed: "false" needs caps.scx-slo.io/allow-unsheddable: "true" on the namespace; "true" holds';
    case 'importance':
      return `scx-slo.io/importance: ${clamp.from} is above the namespace's maximum; ${clamp.to} holds`;
    case 'budget-ms':
      return `scx-slo.io/budget-ms: ${clamp.from} is below the namespace's minimum; ${clamp.to} holds`;
  }
}
