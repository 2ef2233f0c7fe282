import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ExitRecord, exitRecord, parseExitRecord, RECORD_MAX_BYTES } from './exit-record.ts';
import { ExitStore, readExits } from './exit-store.ts';
import { type Failure, isFailure } from './failure.ts';
import { SLO_EXIT_DUMP_LEN } from './kernel/layout.gen.ts';

const HOTPLUG = (1n << 48n) | (1n << 32n);

const record = (minute: number, kind = 1026, exitCode = 0n, dump = `dump ${minute}`): ExitRecord =>
  exitRecord(
    { kind, exitCode, reason: 'runnable task stall', message: 'sh[7]', dump },
    { atMs: Date.parse('2026-11-24T10:00:00Z') + minute * 60_000, kernel: '7.3.4', ranMs: 12_345 },
  );

let dir = '';
let problems: Failure[] = [];
const storeAt = (stateDir: string | undefined) => new ExitStore(stateDir, (each) => problems.push(each));
const files = () => readdirSync(join(dir, 'exits')).sort();

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'scx-slo-state-'));
  problems = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('ExitStore', () => {
  it('keeps the last ones across restarts, complete and for root only', async () => {
    const store = storeAt(dir);
    for (let minute = 0; minute < 5; minute += 1) store.add(record(minute));
    await store.settled();
    expect(files()).toEqual([
      'exit-20261124T100200.000Z-stall.json',
      'exit-20261124T100300.000Z-stall.json',
      'exit-20261124T100400.000Z-stall.json',
    ]);
    expect(statSync(join(dir, 'exits', files()[0] ?? '')).mode & 0o777).toBe(0o600);
    const next = storeAt(dir);
    await next.load();
    expect(next.records).toEqual([record(4), record(3), record(2)]);
    expect(next.records[0]).toMatchObject({ class: 'stall', exitCode: '0x0', ranSeconds: 12.3 });
    expect(problems).toEqual([]);
  });

  it('does not let hotplugs push out the errors', async () => {
    const store = storeAt(dir);
    store.add(record(0));
    for (let minute = 1; minute < 6; minute += 1) store.add(record(minute, 66, HOTPLUG, ''));
    await store.settled();
    expect(store.records.map((each) => each.class)).toEqual(['hotplug', 'stall']);
    expect(await readExits(dir)).toEqual([record(5, 66, HOTPLUG, ''), record(0)]);
  });

  it('passes over what is no record, and removes what a crash left half written', async () => {
    const exits = join(dir, 'exits');
    mkdirSync(exits);
    writeFileSync(join(exits, 'exit-20261124T090000.000Z-stall.json'), '{"at":');
    writeFileSync(join(exits, 'exit-20261124T090000.000Z-error.json.tmp'), 'half');
    writeFileSync(join(exits, 'notes.txt'), 'mine');
    expect(await readExits(dir)).toEqual([]);
    const store = storeAt(dir);
    store.add(record(1));
    await store.settled();
    expect(files()).not.toContain('exit-20261124T090000.000Z-error.json.tmp');
    expect(readFileSync(join(exits, 'notes.txt'), 'utf8')).toBe('mine');
    expect(await readExits(dir)).toEqual([record(1)]);
  });

  it('works in memory where there is no directory to write to, and says so once', async () => {
    writeFileSync(join(dir, 'file'), '');
    const store = storeAt(join(dir, 'file'));
    store.add(record(0));
    store.add(record(1));
    await store.settled();
    expect(store.records).toEqual([record(1), record(0)]);
    expect(problems).toMatchObject([{ code: 'SLO_E_STATE_DIR' }]);
    const memoryOnly = storeAt(undefined);
    await memoryOnly.load();
    memoryOnly.add(record(0));
    await memoryOnly.settled();
    expect(memoryOnly.records).toEqual([record(0)]);
    expect(problems).toHaveLength(1);
  });

  it('tells an unreadable directory from an empty one', async () => {
    expect(await readExits(join(dir, 'absent'))).toEqual([]);
    writeFileSync(join(dir, 'exits'), 'no directory');
    expect(isFailure(await readExits(dir))).toBe(true);
  });
});

describe('an exit record', () => {
  it('survives JSON whatever the kernel wrote, within its bound', () => {
    fc.assert(
      fc.property(
        fc.nat(2000),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.string({ maxLength: 200, unit: 'binary' }),
        (kind, exitCode, dump) => {
          const made = record(0, kind, exitCode, dump);
          expect(parseExitRecord(JSON.stringify(made))).toEqual(made);
        },
      ),
    );
    const worst = record(0, 1026, 0n, '\u0001'.repeat(SLO_EXIT_DUMP_LEN));
    expect(JSON.stringify(worst).length).toBeLessThan(RECORD_MAX_BYTES);
  });

  it('is not made of anything else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(parseExitRecord(text)).toBeUndefined();
      }),
    );
    expect(parseExitRecord(JSON.stringify({ ...record(0), at: 'yesterday' }))).toBeUndefined();
    expect(parseExitRecord(JSON.stringify({ ...record(0), class: 'new' }))).toBeUndefined();
    expect(parseExitRecord(JSON.stringify({ ...record(0), kind: '1' }))).toBeUndefined();
  });
});
