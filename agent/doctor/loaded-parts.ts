/** Loads the library and opens our scheduler: does it fit this agent and this kernel? Loads nothing into the kernel. */
import { isFailure } from '../failure.ts';
import { BpfObject } from '../kernel/bpf-object.ts';
import { loadLibbpf } from '../kernel/libbpf.ts';
import type { NodeFacts } from '../kernel/node-facts.ts';
import { chooseVariant } from '../kernel/struct-ops-variant.ts';
import type { PartFacts } from './machine-checks.ts';

export const loadedParts = ({ types, schedExt }: NodeFacts): PartFacts => {
  const libbpf = loadLibbpf();
  if (isFailure(libbpf)) return { libbpf, scheduler: undefined };
  const { version } = libbpf;
  if (schedExt === undefined || types === undefined || isFailure(types))
    return { libbpf: version, scheduler: undefined };
  const object = BpfObject.open('scheduler', libbpf);
  if (isFailure(object)) return { libbpf: version, scheduler: object };
  try {
    const chosen = chooseVariant(object.structOpsVariants(), types.opsMembers);
    return { libbpf: version, scheduler: isFailure(chosen) ? chosen : 'fits' };
  } finally {
    object.close();
  }
};
