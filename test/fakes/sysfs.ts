/** A small /sys and /proc in memory: full path -> content. Folders follow from the paths. */
import type { Sysfs } from '../../agent/kernel/sysfs.ts';

export const fakeSysfs = (files: Readonly<Record<string, string | Uint8Array>>): Sysfs => {
  const all = new Map(Object.entries(files));
  const under = (path: string) => [...all.keys()].filter((file) => file.startsWith(`${path}/`));
  return {
    text: (path) => {
      const content = all.get(path);
      return typeof content === 'string' ? content : undefined;
    },
    bytes: (path) => {
      const content = all.get(path);
      return typeof content === 'string' ? new TextEncoder().encode(content) : content;
    },
    list: (path) => [...new Set(under(path).map((file) => file.slice(path.length + 1).split('/')[0] ?? ''))],
    exists: (path) => all.has(path) || under(path).length > 0,
  };
};
