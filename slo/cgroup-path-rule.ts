/** Which cgroup paths a rule may name. The path is joined to the hierarchy's mount point, so it must not leave it. */

const PATH_MAX_BYTES = 4095;
const NAME_MAX_BYTES = 255;

const UTF8 = new TextEncoder();

/** A character is at most three bytes a UTF-16 unit, so most paths need no encoding to know that they fit. */
const isLonger = (text: string, maxBytes: number): boolean =>
  text.length * 3 > maxBytes && UTF8.encode(text).length > maxBytes;

/** @returns what is wrong, for a person; undefined where the path is good */
export function checkCgroupPath(path: string): string | undefined {
  if (!path.startsWith('/')) {
    return 'a cgroup path starts with "/", the root of the cgroup hierarchy';
  }
  if (path === '/') {
    return 'the root cgroup is the whole node and cannot have a rule';
  }
  if (path.includes('\0')) {
    return 'NUL in a cgroup path';
  }
  if (isLonger(path, PATH_MAX_BYTES)) {
    return `longer than ${PATH_MAX_BYTES} bytes`;
  }
  const names = path.slice(1).split('/');
  if (names.includes('..') || names.includes('.')) {
    return '"." and ".." are not allowed in a cgroup path';
  }
  if (names.includes('')) {
    return 'empty name in the cgroup path ("//" or a "/" at its end)';
  }
  if (names.some((name) => isLonger(name, NAME_MAX_BYTES))) {
    return `a name in it is longer than ${NAME_MAX_BYTES} bytes`;
  }
  return undefined;
}
