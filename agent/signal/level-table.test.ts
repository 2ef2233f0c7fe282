import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { podLevel } from '../../test/signal-process.ts';
import type { PodLevel } from '../shed/feed.ts';
import { freshness, LevelTable } from './level-table.ts';
import { RoundDelta } from './round-delta.ts';

const full = (...levels: PodLevel[]) => ({ full: true, levels, gone: [] });

describe('levels', () => {
  it('belong to addresses, whichever way they are written', () => {
    const table = new LevelTable();
    table.take(full(podLevel('a', ['10.0.0.1', 'fd00::1'], 0.5)), 0);
    expect(table.keyOf('10.0.0.1')).toBe('pod/a');
    expect(table.keyOf('::ffff:10.0.0.1')).toBe('pod/a');
    expect(table.keyOf('FD00::1')).toBe('pod/a');
    expect(table.keyOf('10.0.0.2')).toBeUndefined();
    table.take(full(podLevel('b', ['10.0.0.1'], 0)), 1);
    expect(table.keyOf('10.0.0.1')).toBe('pod/b');
    expect(table.keyOf('fd00::1')).toBeUndefined();
    expect(table.get('pod/a')).toBeUndefined();
  });

  it('get a new number and wake who waits when what is told changes, and only then', () => {
    const table = new LevelTable();
    table.take(full(podLevel('a', [], 0.5)), 0);
    let woken = 0;
    const wait = () => table.onChange('pod/a', () => (woken += 1));
    wait();
    const { seq } = table.get('pod/a') ?? { seq: -1 };
    table.take(full({ ...podLevel('a', [], 0.501), reason: 'other' }), 200);
    expect([woken, table.get('pod/a')?.seq, table.get('pod/a')?.said.reason]).toEqual([0, seq, 'other']);
    table.take(full(podLevel('a', [], 0.6)), 400);
    expect([woken, table.get('pod/a')?.seq]).toEqual([1, seq + 1]);
    wait();
    table.take(full(), 600);
    expect(woken).toBe(2);
    wait()();
    expect(table.waiting('pod/a')).toBe(0);
  });

  it('age: stale after half a second, then half every two seconds, then nothing; and are back at once', () => {
    const table = new LevelTable();
    expect(table.ageMs(5)).toBe(Number.POSITIVE_INFINITY);
    table.take(full(podLevel('a', [], 0.8)), 0);
    const at = (nowMs: number) => {
      table.age(nowMs);
      const level = table.get('pod/a');
      return [level?.shed, level?.state];
    };
    expect(at(400)).toEqual([0.8, 'shedding']);
    expect(at(600)).toEqual([0.8, 'stale']);
    expect(at(2_000)).toEqual([0.8, 'stale']);
    expect(at(4_000)).toEqual([0.4, 'stale']);
    expect(at(9_999)[0]).toBeGreaterThan(0);
    expect(at(10_000)).toEqual([0, 'stale']);
    table.take({ full: false, levels: [], gone: [] }, 11_000);
    expect(at(11_000)).toEqual([0.8, 'shedding']);
  });

  it('never gain by age', () => {
    const ms = fc.integer({ min: 0, max: 20_000 });
    void fc.assert(
      fc.property(ms, ms, (a, b) => {
        expect(freshness(Math.max(a, b))).toBeLessThanOrEqual(freshness(Math.min(a, b)));
        expect(freshness(a)).toBeGreaterThanOrEqual(0);
        expect(freshness(a)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('differences between rounds', () => {
  const pods = fc.uniqueArray(
    fc.record({
      uid: fc.constantFrom('a', 'b', 'c', 'd'),
      ip: fc.integer({ min: 1, max: 4 }),
      shed: fc.integer({ min: 0, max: 95 }),
    }),
    { selector: ({ uid }) => uid },
  );

  it('lead to the same levels and addresses as whole rounds', () => {
    void fc.assert(
      fc.property(fc.array(pods, { maxLength: 12 }), (rounds) => {
        const delta = new RoundDelta();
        const byDelta = new LevelTable();
        const whole = new LevelTable();
        rounds.forEach((round, nowMs) => {
          const taken = new Set<number>();
          const levels = round.map(({ uid, ip, shed }) => {
            const ips = taken.has(ip) ? [] : [`10.0.0.${ip}`];
            taken.add(ip);
            return podLevel(uid, ips, shed / 100);
          });
          byDelta.take(delta.next(levels), nowMs);
          whole.take(full(...levels), nowMs);
          const seen = (table: LevelTable) => ({
            levels: Object.fromEntries(
              ['a', 'b', 'c', 'd'].map((uid) => [uid, table.get(`pod/${uid}`)?.shed]),
            ),
            keys: [1, 2, 3, 4].map((ip) => table.keyOf(`10.0.0.${ip}`)),
          });
          expect(seen(byDelta)).toEqual(seen(whole));
        });
      }),
    );
  });

  it('carry reasons and numbers of every pod within five rounds, and nothing twice in between', () => {
    const delta = new RoundDelta();
    const levels = () => Array.from({ length: 10 }, (_, index) => podLevel(`p${index}`, [], 0));
    expect(delta.next(levels()).levels).toHaveLength(10);
    const rounds = Array.from({ length: 5 }, () => delta.next(levels()).levels);
    expect(rounds.map((round) => round.length)).toEqual([2, 2, 2, 2, 2]);
    expect(new Set(rounds.flat().map(({ key }) => key)).size).toBe(10);
  });

  it('hold nothing of a level that is the very same as before, and all that was not sent of one that changed', () => {
    const delta = new RoundDelta();
    const [calm, told] = [podLevel('a', [], 0), podLevel('b', [], 0)];
    delta.next([calm, told]);
    const changed = { ...told, reason: 'new' };
    const rounds = Array.from({ length: 10 }, () => delta.next([calm, changed]).levels);
    expect(rounds.flat()).toEqual([changed]);
  });
});
