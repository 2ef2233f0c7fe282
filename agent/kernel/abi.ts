/** Does an object's own type information agree with the layouts that this agent was built with? */
import type { Btf } from './btf.ts';
import * as layout from './layout.gen.ts';

type Offsets = Readonly<Record<string, number>> & { readonly size: number };

const STRUCTS: Readonly<Record<string, Offsets>> = {
  slo_policy: layout.SLO_POLICY,
  slo_stats: layout.SLO_STATS,
  slo_miss_event: layout.SLO_MISS_EVENT,
  slo_cgroup_event: layout.SLO_CGROUP_EVENT,
  slo_control: layout.SLO_CONTROL,
  slo_health: layout.SLO_HEALTH,
  slo_exit: layout.SLO_EXIT,
};

const camelCase = (name: string): string =>
  name.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** What differs first, or undefined. Structs that the object does not use are not in its BTF and pass. */
export const abiMismatch = (btf: Btf): string | undefined => {
  for (const [name, expected] of Object.entries(STRUCTS)) {
    const found = btf.struct(name);
    if (!found) continue;
    if (found.sizeBytes !== expected.size) {
      return `struct ${name} has ${found.sizeBytes} bytes, the agent expects ${expected.size}`;
    }
    for (const field of found.fields) {
      const offset = expected[camelCase(field.name)];
      if (offset !== field.offsetBytes) {
        return `${name}.${field.name} is at ${field.offsetBytes}, the agent expects it at ${offset}`;
      }
    }
  }
  return undefined;
};
