import { expect, it } from 'vitest';
import { CgroupTree } from './cgroup-tree.ts';
import { systemWeight, type TopLevel } from './system-weight.ts';

const weigh = (groups: Record<string, Partial<TopLevel>>): number => {
  const tree = new CgroupTree();
  Object.keys(groups).forEach((path, index) => {
    tree.created(BigInt(index + 2), path, 0);
  });
  tree.created(90n, '/', 0);
  tree.created(91n, '/system.slice/sshd.service', 0);
  return systemWeight(tree.topLevel(), (path) => ({
    weight: 100,
    idle: false,
    isPopulated: true,
    ...groups[path],
  }));
};

it('adds up the groups beside the pods that hold tasks', () => {
  const groups = { '/system.slice': { weight: 300 }, '/user.slice': {}, '/init.scope': {} };
  expect(weigh(groups)).toBe(500);
  expect(weigh({ ...groups, '/empty.slice': { isPopulated: false, weight: 900 } })).toBe(500);
  expect(weigh({ ...groups, '/idle.slice': { idle: true } })).toBe(500);
});

it('stays within what cpu.weight may be', () => {
  expect(weigh({})).toBe(100);
  expect(weigh({ '/a': { weight: 10_000 }, '/b': {} })).toBe(10_000);
});
