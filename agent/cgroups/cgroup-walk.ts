/** Reads the whole cgroup hierarchy from the file system. */
import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { type Failure, failure } from '../failure.ts';

/** How long the walk may hold the event loop at a stretch. */
const STRETCH_MS = 3;

/** The kernel allows deeper trees; a plan never looks below this (bpf/abi.h: SLO_MAX_CGROUP_DEPTH). */
const MAX_DEPTH = 16;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** undefined where the name is no UTF-8: such a cgroup cannot be addressed by a string, so it is left out. */
const nameOf = (bytes: Buffer): string | undefined => {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
};

const subdirectories = async (directory: string): Promise<string[]> => {
  try {
    const entries = await readdir(directory, { withFileTypes: true, encoding: 'buffer' });
    return entries.flatMap((entry) => (entry.isDirectory() ? (nameOf(entry.name) ?? []) : []));
  } catch {
    return []; // removed while we walked
  }
};

interface DirectoryStat {
  id: bigint;
  /** kernfs counts subdirectories in nlink (2 = none); file systems that do not say 1 for every directory. */
  isLeaf: boolean;
}

const statDirectory = (path: string): DirectoryStat | undefined => {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat?.isDirectory() ? { id: stat.ino, isLeaf: stat.nlink === 2n } : undefined;
  } catch {
    return undefined; // ENODEV and the like: going away
  }
};

/** Lets the event loop run whenever the work since the last pause took too long. */
const pacer = (): (() => Promise<void>) => {
  let sinceMs = performance.now();
  return async () => {
    if (performance.now() - sinceMs <= STRETCH_MS) return;
    await yieldToLoop();
    sinceMs = performance.now();
  };
};

/**
 * @param mount where the hierarchy is mounted, for example /sys/fs/cgroup.
 * @returns path -> inode number of every cgroup; or why the mount cannot be read at all. Directories that vanish
 *   during the walk are left out.
 */
export const walkCgroups = async (mount: string): Promise<Map<string, bigint> | Failure> => {
  const root = statDirectory(mount);
  if (root === undefined) {
    return failure(
      'SLO_E_CGROUP_ROOT',
      `cannot read the cgroup hierarchy at ${mount}`,
      'it is no directory that this process can see',
      'mount cgroup2 there, or name its place with --cgroup-root',
    );
  }
  const found = new Map<string, bigint>([['/', root.id]]);
  const pause = pacer();
  let level = [''];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth += 1) {
    const below: string[] = [];
    for (const path of level) below.push(...(await addChildren(mount, path, found, pause)));
    level = below;
  }
  return found;
};

/** Adds the cgroups right below `path`; answers with those that have children of their own. */
const addChildren = async (
  mount: string,
  path: string,
  found: Map<string, bigint>,
  pause: () => Promise<void>,
): Promise<string[]> => {
  const parents: string[] = [];
  for (const name of await subdirectories(join(mount, path))) {
    const child = `${path}/${name}`;
    const stat = statDirectory(mount + child);
    if (stat !== undefined) {
      found.set(child, stat.id);
      if (!stat.isLeaf) parents.push(child);
    }
    await pause();
  }
  return parents;
};
