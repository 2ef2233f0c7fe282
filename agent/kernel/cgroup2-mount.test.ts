import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findCgroup2Mount } from './cgroup2-mount.ts';

const mount = (root: string, point: string, type = 'cgroup2') =>
  `41 31 0:38 ${root} ${point} rw,relatime shared:4 - ${type} ${type} rw`;

describe('findCgroup2Mount', () => {
  it('finds the unified hierarchy beside v1 controllers', () => {
    const lines = [mount('/', '/sys/fs/cgroup/cpu', 'cgroup'), mount('/', '/sys/fs/cgroup/unified')];
    expect(findCgroup2Mount(lines.join('\n'))).toBe('/sys/fs/cgroup/unified');
    expect(findCgroup2Mount(mount('/', '/sys/fs/cgroup/cpu', 'cgroup'))).toBeUndefined();
  });

  it('prefers the whole hierarchy to a part of it', () => {
    const part = mount('/../..', '/sys/fs/cgroup');
    expect(findCgroup2Mount(part)).toBe('/sys/fs/cgroup');
    expect(findCgroup2Mount(`${part}\n${mount('/', '/host/cgroup')}`)).toBe('/host/cgroup');
  });

  it('reads escaped blanks, and survives any text', () => {
    expect(findCgroup2Mount(mount('/', '/mnt/a\\040b'))).toBe('/mnt/a b');
    fc.assert(fc.property(fc.string(), (text) => void findCgroup2Mount(`${text} - cgroup2 ${text}`)));
  });
});
