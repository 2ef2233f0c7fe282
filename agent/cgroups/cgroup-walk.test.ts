import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isFailure } from '../failure.ts';
import { walkCgroups } from './cgroup-walk.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'scx-slo-walk-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

it('gives every directory with its inode number, and nothing else', async () => {
  await mkdir(join(root, 'kubepods/burstable/podx'), { recursive: true });
  await mkdir(join(root, 'system.slice'));
  await writeFile(join(root, 'cgroup.procs'), '');
  await symlink('/etc', join(root, 'link'));
  const found = await walkCgroups(root);
  if (isFailure(found)) throw new Error(found.why);
  expect([...found.keys()].sort((a, b) => (a < b ? -1 : 1))).toEqual([
    '/',
    '/kubepods',
    '/kubepods/burstable',
    '/kubepods/burstable/podx',
    '/system.slice',
  ]);
  expect(found.get('/kubepods/burstable/podx')).toBe(
    (await stat(join(root, 'kubepods/burstable/podx'), { bigint: true })).ino,
  );
});

it('says so when there is no such mount', async () => {
  expect(await walkCgroups(join(root, 'nowhere'))).toMatchObject({ code: 'SLO_E_CGROUP_ROOT' });
});

it('survives directories that come and go while it walks', async () => {
  const paths = Array.from({ length: 300 }, (_, pod) => join(root, `kubepods/pod${pod}/container`));
  await Promise.all(paths.map((path) => mkdir(path, { recursive: true })));
  const [found] = await Promise.all([
    walkCgroups(root),
    ...paths.slice(100).map((path) => rm(join(path, '..'), { recursive: true })),
  ]);
  if (isFailure(found)) throw new Error(found.why);
  for (let pod = 0; pod < 100; pod += 1) expect(found.has(`/kubepods/pod${pod}/container`)).toBe(true);
});
