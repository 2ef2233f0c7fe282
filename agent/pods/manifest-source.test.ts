import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManifestSource, type ManifestSourceOptions } from './manifest-source.ts';
import { sourceErrorText } from './source-error.ts';
import type { TargetSnapshot } from './target.ts';

let directory: string;
let source: ManifestSource | undefined;
let snapshots: TargetSnapshot[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'scx-slo-pods-'));
  snapshots = [];
});

afterEach(() => {
  source?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function start(options: Partial<ManifestSourceOptions> = {}): Promise<void> {
  source = new ManifestSource({ directory, debounceMs: 10, rescanMs: 50, ...options });
  await source.start((snapshot) => snapshots.push(snapshot));
}

const manifest = (name: string, budget = '50', uid = `uid-${name}`) => `apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  uid: ${uid}
  annotations:
    scx-slo.io/budget-ms: "${budget}"
spec:
  containers:
    - name: main
`;

const write = (name: string, text: string | Buffer) => writeFileSync(join(directory, name), text);

const now = () => {
  const snapshot = snapshots.at(-1);
  return {
    pods: snapshot?.targets.map((t) => (t.kind === 'pod' ? `${t.name} ${t.slo?.budgetMs}` : t.path)),
    errors: snapshot?.errors.map((error) => sourceErrorText(error).replaceAll(directory, '')),
  };
};

async function eventually(wanted: unknown): Promise<void> {
  await expect.poll(now, { timeout: 5000, interval: 10 }).toEqual(wanted);
}

describe('ManifestSource', () => {
  it('reads manifests by their endings, and nothing else', async () => {
    write('a.yaml', manifest('a'));
    write('b.yml', manifest('b', 'fast'));
    write('c.json', JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'c', uid: 'c' } }));
    write('.hidden.yaml', manifest('hidden'));
    write('notes.txt', 'text');
    await start();
    expect(now()).toEqual({
      pods: ['a 50', 'b undefined', 'c undefined'],
      errors: [
        '/b.yml:7:5: SLO_E_BUDGET: scx-slo.io/budget-ms: "fast" is not 1 .. 10000 (decimal ms); ignored',
      ],
    });
  });

  it('follows new, changed and removed files by the kernel’s notice', async () => {
    await start({ rescanMs: 600_000 });
    expect(now()).toEqual({ pods: [], errors: [] });
    write('a.yaml', manifest('a'));
    await eventually({ pods: ['a 50'], errors: [] });
    write('a.yaml.tmp', manifest('a', '20'));
    renameSync(join(directory, 'a.yaml.tmp'), join(directory, 'a.yaml'));
    await eventually({ pods: ['a 20'], errors: [] });
    rmSync(join(directory, 'a.yaml'));
    await eventually({ pods: [], errors: [] });
  });

  it('sees by its rescan what a symbolic link points at', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'scx-slo-outside-'));
    try {
      writeFileSync(join(outside, 'a'), manifest('a'));
      symlinkSync(join(outside, 'a'), join(directory, 'a.yaml'));
      await start();
      writeFileSync(join(outside, 'a'), manifest('a', '20'));
      await eventually({ pods: ['a 20'], errors: [] });
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it('reports each file that cannot be used, once, and loses no other', async () => {
    write('good.yaml', manifest('good'));
    write('latin1.yaml', Buffer.from('name: gr\xfcn', 'latin1'));
    write('large.yaml', Buffer.alloc(1024 * 1024 + 1, '#'));
    mkdirSync(join(directory, 'dir.yaml'));
    execFileSync('mkfifo', [join(directory, 'fifo.yaml')]);
    symlinkSync('loop.yaml', join(directory, 'loop.yaml'));
    symlinkSync('nowhere', join(directory, 'dangling.yaml'));
    write('syntax.yaml', 'kind: Pod\n  x: [\n');
    await start();
    expect(now()).toEqual({
      pods: ['good 50'],
      errors: [
        '/dangling.yaml: SLO_E_MANIFEST: does not exist',
        '/dir.yaml: SLO_E_MANIFEST: is a directory, not a regular file',
        '/fifo.yaml: SLO_E_MANIFEST: is a FIFO, not a regular file',
        '/large.yaml: SLO_E_MANIFEST: has 1048577 bytes, more than the 1048576 allowed',
        '/latin1.yaml: SLO_E_MANIFEST: is not UTF-8 text',
        '/loop.yaml: SLO_E_MANIFEST: is a loop of symbolic links',
        expect.stringMatching(/^\/syntax\.yaml:[12]:[0-9]+: SLO_E_YAML: /),
      ],
    });
    await sleep(300);
    expect(snapshots).toHaveLength(1);
  });

  it('keeps the pods of a file that is being broken, and lets go of those that were taken out', async () => {
    write('a.yaml', `${manifest('a')}---\n${manifest('b')}`);
    await start();
    write('a.yaml', `${manifest('a', '20')}---\nkind: Pod\n  x: [\n`);
    await eventually({ pods: ['a 20', 'b 50'], errors: [expect.stringContaining('SLO_E_YAML')] });
    write('a.yaml', manifest('a', '20'));
    await eventually({ pods: ['a 20'], errors: [] });
  });

  it('refuses both of two pods with one UID until one goes', async () => {
    write('a.yaml', manifest('a', '50', 'same'));
    write('b.yaml', manifest('b', '60', 'same'));
    await start();
    expect(now()).toEqual({
      pods: [],
      errors: [
        '/a.yaml:1:1: SLO_E_CONFLICT: pod default/a has the UID same of pod default/b (/b.yaml:1); neither is used',
        '/b.yaml:1:1: SLO_E_CONFLICT: pod default/b has the UID same of pod default/a (/a.yaml:1); neither is used',
      ],
    });
    rmSync(join(directory, 'a.yaml'));
    await eventually({ pods: ['b 60'], errors: [] });
  });

  it('waits for a directory, and keeps its pods when it goes away', async () => {
    rmSync(directory, { recursive: true });
    await start();
    expect(now()).toEqual({ pods: [], errors: [': SLO_E_PODS_DIR: does not exist; known pods stay'] });
    mkdirSync(directory);
    write('a.yaml', manifest('a'));
    await eventually({ pods: ['a 50'], errors: [] });
    rmSync(directory, { recursive: true });
    await eventually({ pods: ['a 50'], errors: [': SLO_E_PODS_DIR: does not exist; known pods stay'] });
    mkdirSync(directory);
    write('b.yaml', manifest('b'));
    await eventually({ pods: ['b 50'], errors: [] });
  });

  it('keeps up with a file that never stops changing', async () => {
    await start({ rescanMs: 600_000, debounceMs: 40 });
    const writer = setInterval(() => write('noise.txt', 'x'), 5);
    try {
      write('a.yaml', manifest('a'));
      await eventually({ pods: ['a 50'], errors: [] });
    } finally {
      clearInterval(writer);
    }
  });

  it('is silent after stop', async () => {
    await start();
    source?.stop();
    write('a.yaml', manifest('a'));
    await sleep(200);
    expect(snapshots).toHaveLength(1);
  });
});
