/** Do the parts that we bring fit: the library and our scheduler. Loaded late: koffi is a native module. */
import { failure } from '../failure.ts';
import type { NodeFacts } from '../kernel/node-facts.ts';
import type { PartFacts } from './machine-checks.ts';

export const probeParts = async (facts: NodeFacts): Promise<PartFacts> => {
  try {
    const { loadedParts } = await import('./loaded-parts.ts');
    return loadedParts(facts);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const next = 'install scx-slo anew for this machine (npm install in its folder)';
    return {
      libbpf: failure('SLO_E_PARTS', 'a part of scx-slo cannot be loaded', why, next),
      scheduler: undefined,
    };
  }
};
