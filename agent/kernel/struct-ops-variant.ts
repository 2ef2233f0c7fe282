/**
 * Which struct_ops map of the scheduler object to use. The object may hold several that differ in the members
 * they set (later kernels have more); a kernel refuses one that sets a member it does not know. So: of those it
 * knows entirely, the richest. Probes features, not version strings.
 */
import { type Failure, failure } from '../failure.ts';

export interface OpsVariant {
  name: string;
  members: string[];
}

/** `kernelMembers`: members of the running kernel's struct sched_ext_ops. Order of `variants` breaks ties. */
export const chooseVariant = (
  variants: readonly OpsVariant[],
  kernelMembers: readonly string[],
): OpsVariant | Failure => {
  const known = new Set(kernelMembers);
  const missing = (variant: OpsVariant) => variant.members.filter((member) => !known.has(member));
  let best: OpsVariant | undefined;
  for (const variant of variants) {
    const better = !best || variant.members.length > best.members.length;
    if (missing(variant).length === 0 && better) best = variant;
  }
  if (best) return best;
  const why = variants.map((variant) => `${variant.name} needs ${missing(variant).join(', ')}`).join('; ');
  const what = "this kernel's sched_ext lacks what the scheduler needs";
  return failure(
    'SLO_E_SCHED_EXT_OPS',
    what,
    why || 'the object has no struct_ops',
    'use Linux 6.12 or newer',
  );
};
