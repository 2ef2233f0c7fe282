import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CgroupTree } from './cgroup-tree.ts';

const POD = '/kubepods/burstable/pod11111111-2222-3333-4444-555555555555';
const UID = '11111111-2222-3333-4444-555555555555';
const ID = 'ab'.repeat(32);

describe('CgroupTree', () => {
  it('finds a pod, its container and the pods root by name', () => {
    const tree = new CgroupTree();
    tree.created(1n, '/kubepods', 0);
    tree.created(2n, POD, 0);
    tree.created(3n, `${POD}/${ID}`, 0);
    tree.created(4n, `${POD}/${ID}/nested`, 0);
    expect(tree.pod(UID)?.id).toBe(2n);
    expect(tree.container(UID, ID)?.id).toBe(3n);
    expect(tree.roots().map((root) => root.id)).toEqual([1n]);
    expect(tree.byPath(`${POD}/${ID}/nested`)?.id).toBe(4n);
  });

  it('believes the cgroup nearest to the root when another one imitates a pod', () => {
    const tree = new CgroupTree();
    tree.created(9n, `/user.slice/user-1000.slice/kubepods/pod${UID}`, 0);
    expect(tree.pod(UID)?.id).toBe(9n);
    tree.created(2n, POD, 0);
    expect(tree.pod(UID)?.id).toBe(2n);
    expect([...tree.pods()]).toHaveLength(1);
    tree.removed(2n);
    expect(tree.pod(UID)?.id).toBe(9n);
  });

  it('replaces a path whose directory was made anew though its removal was never told', () => {
    const tree = new CgroupTree();
    tree.created(2n, POD, 0);
    tree.created(7n, POD, 1);
    expect(tree.byId(2n)).toBeUndefined();
    expect(tree.pod(UID)?.id).toBe(7n);
    expect(tree.size).toBe(1);
  });

  it('lets events win over a walk that passed before them', () => {
    const tree = new CgroupTree();
    tree.created(1n, '/old', 0);
    tree.created(2n, '/gone-unnoticed', 0);
    const finish = tree.beginWalk();
    tree.created(3n, '/new', 1);
    tree.removed(1n);
    const change = finish(
      new Map([
        ['/old', 1n],
        ['/found', 4n],
      ]),
      2,
    );
    expect(change.removed.map((cgroup) => cgroup.path)).toEqual(['/gone-unnoticed']);
    expect(change.added.map((cgroup) => cgroup.path)).toEqual(['/found']);
    expect(tree.byPath('/new')?.id).toBe(3n);
    expect(tree.byPath('/old')).toBeUndefined();
  });

  it('equals the file system after a walk, whatever events were lost before', () => {
    const path = fc.constantFrom('/a', '/a/b', '/kubepods', POD, `${POD}/${ID}`, `/x${POD}`);
    const event = fc.record({ path, id: fc.bigInt(1n, 9n), created: fc.boolean() });
    const truth = fc.uniqueArray(fc.record({ path, id: fc.bigInt(1n, 20n) }), {
      comparator: (a, b) => a.path === b.path || a.id === b.id,
    });
    void fc.assert(
      fc.property(fc.array(event), truth, (events, found) => {
        const tree = new CgroupTree();
        for (const { created, id, path: at } of events) {
          if (created) tree.created(id, at, 0);
          else tree.removed(id);
        }
        tree.beginWalk()(new Map(found.map((cgroup) => [cgroup.path, cgroup.id])), 1);
        expect(tree.size).toBe(found.length);
        for (const cgroup of found) {
          expect(tree.byPath(cgroup.path)?.id).toBe(cgroup.id);
          expect(tree.byId(cgroup.id)?.path).toBe(cgroup.path);
        }
        expect(tree.pod(UID)?.id).toBe(
          found.find((cgroup) => cgroup.path === POD)?.id ??
            found.find((cgroup) => cgroup.path === `/x${POD}`)?.id,
        );
      }),
    );
  });
});
