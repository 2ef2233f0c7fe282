/** What lies above a cgroup: the ancestors that have slots, and which limits they pass down. Pure. */
import { type CgroupLimits, quotaCpusOf } from '../cgroups/cgroup-files.ts';
import type { Cgroup, CgroupTree } from '../cgroups/cgroup-tree.ts';
import { NO_SLOT } from '../kernel/port.ts';
import type { Claims } from './claims.ts';

/** Every task outside the pods' subtree (bpf/abi.h: SLO_SLOT_SYSTEM). */
export const SYSTEM_SLOT = 0;

export interface Ancestors {
  /** With a slot, the nearest first. */
  ids: readonly bigint[];
  /** The parent slot where none of them has one: NO_SLOT, or SYSTEM_SLOT deeper in the system's part of the tree. */
  otherwise: number;
  /** One of them has a quota. */
  limited: boolean;
  /** One of them has cpu.idle. */
  idle: boolean;
  /** The tightest cpu.max of them; undefined: none has one. */
  quotaCpus: number | undefined;
}

/** The kernel side walks this many levels, the cgroup's own among them. */
export const MAX_LEVELS = 8;

const NONE: Ancestors = {
  ids: [],
  otherwise: NO_SLOT,
  limited: false,
  idle: false,
  quotaCpus: undefined,
};

export const tightest = (a: number | undefined, b: number | undefined): number | undefined => {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
};

export class Ancestry {
  readonly #tree: CgroupTree;
  readonly #claims: Claims;
  readonly #limits: (cgroupId: bigint) => CgroupLimits;
  /** By the path of the parent. */
  readonly #known = new Map<string, Ancestors>();

  constructor(tree: CgroupTree, claims: Claims, limits: (cgroupId: bigint) => CgroupLimits) {
    this.#tree = tree;
    this.#claims = claims;
    this.#limits = limits;
  }

  of({ path }: Cgroup): Ancestors {
    return this.#above(path);
  }

  #above(path: string): Ancestors {
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (parent === '') return NONE;
    const known = this.#known.get(parent);
    if (known !== undefined) return known;
    const above = this.#above(parent);
    const cgroup = this.#tree.byPath(parent);
    const made = cgroup !== undefined && this.#hasSlot(cgroup) ? this.#with(cgroup, above) : past(above);
    this.#known.set(parent, made);
    return made;
  }

  #with({ id }: Cgroup, above: Ancestors): Ancestors {
    const limits = this.#limits(id);
    const quotaCpus = quotaCpusOf(limits);
    return {
      ids: above.ids.length < MAX_LEVELS - 1 ? [id, ...above.ids] : above.ids,
      otherwise: above.otherwise,
      limited: above.limited || quotaCpus !== undefined,
      idle: above.idle || limits.idle,
      quotaCpus: tightest(above.quotaCpus, quotaCpus),
    };
  }

  #hasSlot(cgroup: Cgroup): boolean {
    const { place, path, id } = cgroup;
    switch (place.kind) {
      case 'pods-root':
      case 'qos':
        return true;
      case 'pod':
        return this.#tree.pod(place.podUid) === cgroup || this.#claims.paths.has(path);
      default:
        return (
          (place.kind === 'container' && this.#tree.container(place.podUid, place.containerId) === cgroup) ||
          this.#claims.paths.has(path) ||
          this.#claims.folders.has(id)
        );
    }
  }
}

/** Below a cgroup without a slot that is no child of one with a slot, we are somewhere in the system's part. */
const past = (above: Ancestors): Ancestors =>
  above.ids.length > 0 || above.otherwise === SYSTEM_SLOT ? above : { ...above, otherwise: SYSTEM_SLOT };
