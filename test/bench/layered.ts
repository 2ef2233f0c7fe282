/**
 * A fair configuration of scx_layered for a node of the bench: what its own documentation recommends for latency.
 * Pods with a budget are one open layer whose tasks preempt, all else is another open layer that fills what is left.
 * No layer keeps CPUs for itself, and none of both is exclusive: with CPUs of its own, or idle siblings, it would
 * answer another question than the other policies.
 */

/** scx_layered's limit for one layer (MAX_LAYER_MATCH_ORS): more prefixes than that it refuses. */
const MAX_PREFIXES = 32;

/** Its default for every layer, and what its own examples use for bulk work. */
const BATCH_SLICE_US = 20_000;
/** Longer than a request of the bench, so that none is cut, and short enough for services to take turns. */
const LATENCY_SLICE_US = 5_000;

/** `/kubepods/podX` is `kubepods/podX/` to scx_layered, which compares strings: the last slash keeps podX1 out. */
const prefixOf = (cgroupPath: string): string => `${cgroupPath.replace(/^\/+|\/+$/g, '')}/`;

/**
 * Command-line arguments of scx_layered. `latencyCgroups`: paths below the cgroup root of the pods that have a
 * budget. Throws when there are none, or more than one layer can match.
 */
export const layeredArguments = (latencyCgroups: readonly string[]): string[] => {
  if (latencyCgroups.length === 0 || latencyCgroups.length > MAX_PREFIXES)
    throw new Error(`scx_layered takes 1 .. ${MAX_PREFIXES} cgroups, not ${latencyCgroups.length}`);
  const layers = [
    {
      name: 'latency',
      matches: latencyCgroups.map((path) => [{ CgroupPrefix: prefixOf(path) }]),
      kind: { Open: { preempt: true, slice_us: LATENCY_SLICE_US, weight: 100 } },
    },
    { name: 'rest', matches: [[]], kind: { Open: { slice_us: BATCH_SLICE_US, weight: 100 } } },
  ];
  return [JSON.stringify(layers)];
};
