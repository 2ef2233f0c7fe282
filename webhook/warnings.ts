/**
 * The warnings that `kubectl apply` prints. The API server cuts a warning at 256 characters and drops all beyond
 * 4096 in total (k8s.io/docs: "Dynamic Admission Control", response), so there are few and they are short.
 */
import type { Clamp, Resolution } from '../slo/slo.ts';

export const WARNINGS_MAX = 10;

export function warningsOf(resolution: Resolution, inject: unknown): string[] {
  const slos = [resolution.pod, ...resolution.containers.values()];
  const clamps = slos.flatMap((slo) => slo?.clamped ?? []);
  const all = new Set([
    ...clamps.map(clampWarning),
    ...resolution.problems.map((problem) => problem.message),
  ]);
  if (inject === 'sidecar') {
    all.add('scx-slo.io/inject: "sidecar" is not available in this version; allowed is "endpoint"; ignored');
  }
  const warnings = [...all];
  return warnings.length <= WARNINGS_MAX
    ? warnings
    : [
        ...warnings.slice(0, WARNINGS_MAX - 1),
        `and ${warnings.length - WARNINGS_MAX + 1} more bad scx-slo.io annotations`,
      ];
}

function clampWarning({ field, from, to }: Clamp): string {
  const [relation, end] = field === 'importance' ? ['above', 'maximum'] : ['below', 'minimum'];
  return `scx-slo.io/${field}: ${from} is ${relation} the namespace's ${end}; ${to} holds`;
}
