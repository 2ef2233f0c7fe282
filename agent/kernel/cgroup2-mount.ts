/** Where cgroup v2 is mounted; on hybrid hosts that is a folder beside the v1 controllers. */

/** Octal escapes that the kernel uses in mountinfo for blank, tab, newline and backslash. */
const unescapeOctal = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/**
 * `mountinfo`: text of /proc/self/mountinfo (proc(5)). The mount that shows the whole hierarchy (root `/`) is
 * preferred to one that shows a part of it (container); undefined: none at all.
 */
export const findCgroup2Mount = (mountinfo: string): string | undefined => {
  let partial: string | undefined;
  for (const line of mountinfo.split('\n')) {
    const [mount, source] = line.split(' - ', 2);
    if (!mount || !source?.startsWith('cgroup2 ')) continue;
    const [, , , root, point] = mount.split(' ');
    if (!root || !point) continue;
    if (root === '/') return unescapeOctal(point);
    partial ??= unescapeOctal(point);
  }
  return partial;
};
