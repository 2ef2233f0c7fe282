/** Which target claims which cgroup; two claimants of one cgroup both lose it. Pure. */
import type { Cgroup, CgroupTree } from '../cgroups/cgroup-tree.ts';
import type { PathTarget, PodTarget, Target } from '../pods/target.ts';

export interface Conflict {
  /** The cgroup, or for two pods with one uid whose cgroup does not exist, the uid. */
  what: string;
  claimants: string[];
}

export interface Claims {
  /** By cgroupUid; only pods that nobody contests. */
  pods: Map<string, PodTarget>;
  /** By path; resolved and uncontested. */
  paths: Map<string, { cgroup: Cgroup; target: PathTarget }>;
  /** By id: cgroups inside the pods' tree that are no pods, above those of path rules. */
  folders: Map<bigint, Cgroup>;
  /** Every path that a rule names. */
  pathNames: ReadonlySet<string>;
  /** Cgroups that a pod and a path rule both want. */
  contested: Set<bigint>;
  unresolved: Target[];
  conflicts: Conflict[];
}

export const targetName = (target: Target): string =>
  target.kind === 'pod'
    ? `pod ${target.namespace}/${target.name} (${target.uid})`
    : `config line ${target.line} (${target.path})`;

const hasSlo = (pod: PodTarget): boolean =>
  pod.slo !== undefined || pod.containers.some((container) => container.slo !== undefined);

const group = <T>(items: Iterable<T>, keyOf: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [item]);
    else members.push(item);
  }
  return groups;
};

const claimPods = (claims: Claims, pods: readonly PodTarget[], tree: CgroupTree): void => {
  for (const [uid, claimants] of group(pods, (pod) => pod.cgroupUid)) {
    const [pod, rival] = claimants;
    const cgroup = tree.pod(uid);
    if (rival !== undefined) {
      claims.conflicts.push({ what: cgroup?.path ?? uid, claimants: claimants.map(targetName) });
    } else if (pod !== undefined) {
      claims.pods.set(uid, pod);
      if (cgroup === undefined && hasSlo(pod)) claims.unresolved.push(pod);
    }
  }
};

const claimPaths = (claims: Claims, targets: readonly PathTarget[], tree: CgroupTree): void => {
  for (const [path, claimants] of group(targets, (target) => target.path)) {
    const [target, rival] = claimants;
    if (target === undefined) continue;
    const cgroup = tree.byPath(path);
    const place = cgroup?.place;
    const pod = place?.kind === 'pod' ? claims.pods.get(place.podUid) : undefined;
    if (rival !== undefined) {
      claims.conflicts.push({ what: path, claimants: claimants.map(targetName) });
    } else if (cgroup === undefined) {
      claims.unresolved.push(target);
    } else if (pod?.slo !== undefined) {
      claims.contested.add(cgroup.id);
      claims.conflicts.push({ what: path, claimants: [targetName(pod), targetName(target)] });
    } else {
      claims.paths.set(path, { cgroup, target });
    }
  }
};

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** Between the pods' root and the cgroup of a rule; what has a slot anyway is no folder. */
const foldersAbove = (path: string, tree: CgroupTree): Cgroup[] => {
  const folders: Cgroup[] = [];
  for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
    const cgroup = tree.byPath(above);
    if (cgroup === undefined) continue;
    const { place } = cgroup;
    if (place.kind === 'pods-root') return folders;
    const isInner = place.kind === 'in-pod' || (place.kind === 'container' && place.depth > 0);
    if (place.kind === 'other' || isInner) folders.push(cgroup);
  }
  return []; // not under a pods' root
};

const findFolders = (claims: Claims, tree: CgroupTree): void => {
  for (const path of claims.paths.keys()) {
    for (const folder of foldersAbove(path, tree))
      if (!claims.paths.has(folder.path)) claims.folders.set(folder.id, folder);
  }
};

export const claimsOf = (targets: readonly Target[], tree: CgroupTree): Claims => {
  const paths = targets.filter((target) => target.kind === 'path');
  const claims: Claims = {
    pathNames: new Set(paths.map((target) => target.path)),
    pods: new Map(),
    paths: new Map(),
    folders: new Map(),
    contested: new Set(),
    unresolved: [],
    conflicts: [],
  };
  claimPods(
    claims,
    targets.filter((target) => target.kind === 'pod'),
    tree,
  );
  claimPaths(claims, paths, tree);
  findFolders(claims, tree);
  return claims;
};

export const NO_CLAIMS: Claims = {
  pods: new Map(),
  paths: new Map(),
  folders: new Map(),
  pathNames: new Set(),
  contested: new Set(),
  unresolved: [],
  conflicts: [],
};
