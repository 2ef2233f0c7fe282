// The guest is the machine that the other suites rely on.
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { expect, test } from 'vitest';

const readWords = (file: string): string[] => readFileSync(file, 'utf8').trim().split(/\s+/);

test('the kernel is the one that was asked for', () => {
  expect(release()).toBe(process.env.SCX_SLO_VM_RELEASE);
});

test('sched_ext is present and no scheduler is loaded', () => {
  expect(readWords('/sys/kernel/sched_ext/state')).toEqual(['disabled']);
});

test('BTF is present', () => {
  const start = Buffer.alloc(2);
  const fd = openSync('/sys/kernel/btf/vmlinux', 'r');
  expect(readSync(fd, start)).toBe(2);
  closeSync(fd);
  expect(start.readUInt16LE()).toBe(0xeb9f);
});

test('cgroup v2 is mounted with the controllers that a node has', () => {
  expect(statSync('/sys/fs/cgroup/cgroup.controllers').isFile()).toBe(true);
  expect(readWords('/sys/fs/cgroup/cgroup.subtree_control')).toEqual(
    expect.arrayContaining(['cpu', 'cpuset', 'memory', 'pids']),
  );
});
