import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodeMode } from '../node-mode.ts';
import { FeatureFile, featureText } from './feature-file.ts';

const OBSERVING: NodeMode = { mode: 'observe', wanted: 'observe', reason: undefined };
const FALLEN: NodeMode = {
  mode: 'advisory',
  wanted: 'enforce',
  reason: { code: 'OtherScheduler', message: 'another scheduler runs', hint: 'stop it' },
};

let directory = '';
let told: (string | undefined)[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'features-'));
  told = [];
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the feature file', () => {
  it('has the labels that the worker reads', () => {
    expect(
      featureText({ mode: FALLEN, canEnforce: false }, new Date('2026-11-24T12:00:00.5Z')).split('\n'),
    ).toEqual([
      '# +expiry-time=2026-11-24T12:00:00Z',
      'scx-slo.io/capable=false',
      'scx-slo.io/mode=advisory',
      'scx-slo.io/reason=OtherScheduler',
      '',
    ]);
  });

  it('is replaced when the status changes, and else left alone', async () => {
    const file = new FeatureFile(directory, (problem) => told.push(problem));
    file.onStatus({ mode: OBSERVING, canEnforce: true });
    await file.stop();
    expect(readdirSync(directory)).toEqual(['scx-slo']);
    const first = statSync(join(directory, 'scx-slo')).ino;
    file.onStatus({ mode: OBSERVING, canEnforce: true });
    await file.stop();
    expect(statSync(join(directory, 'scx-slo')).ino).toBe(first);
    file.onStatus({ mode: FALLEN, canEnforce: true });
    file.onStatus({ mode: FALLEN, canEnforce: false });
    await file.stop();
    expect(readFileSync(join(directory, 'scx-slo'), 'utf8')).toContain('scx-slo.io/capable=false\n');
    expect(told).toEqual([]);
  });

  it('says once that it cannot be written, and once that it can again', async () => {
    rmSync(directory, { recursive: true });
    const file = new FeatureFile(directory, (problem) => told.push(problem));
    for (const canEnforce of [true, false, true]) {
      file.onStatus({ mode: OBSERVING, canEnforce });
      await file.stop();
    }
    expect(told).toEqual([expect.stringContaining('ENOENT')]);
  });
});
