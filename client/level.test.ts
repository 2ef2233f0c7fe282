import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLevel } from './level.ts';
import { LevelMemory } from './level-memory.ts';

describe('a level', () => {
  it('is read from the JSON of the contract', () => {
    const body =
      '{"v":1,"shed":0.25,"state":"shedding","seq":812,"age_ms":37,"ttl_ms":1000,"retry_after_ms":1800,"importance":50}';
    expect(parseLevel(body)).toEqual({ shed: 0.25, state: 'shedding', retryAfterMs: 1800, ttlMs: 1000 });
    expect(parseLevel('{"shed":0}')).toEqual({ shed: 0, state: 'ok', retryAfterMs: 0, ttlMs: 1000 });
  });

  it.each([
    '',
    '7',
    'null',
    '[]',
    '{}',
    '{"shed":"1"}',
    '{"shed":1.01}',
    '{"shed":-0.1}',
    '{"shed":null}',
    '{"shed":1',
  ])('is not %s', (body) => {
    expect(parseLevel(body)).toBeUndefined();
  });

  it('is within its bounds or none, whatever comes', () => {
    const anything = fc.anything({ maxDepth: 1 });
    const almost = fc.record({ shed: anything, state: anything, ttl_ms: anything, retry_after_ms: anything });
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      almost.map((value) => JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? 7 : part))),
    );
    void fc.assert(
      fc.property(texts, (text) => {
        const level = parseLevel(text);
        if (level === undefined) return;
        expect(level.shed >= 0 && level.shed <= 1).toBe(true);
        expect(level.ttlMs >= 200 && level.ttlMs <= 5_000).toBe(true);
        expect(level.retryAfterMs >= 0 && level.retryAfterMs <= 60_000).toBe(true);
      }),
    );
  });
});

describe('the memory of a level', () => {
  const memory = () => new LevelMemory({ ttlMs: 1_000, halfLifeMs: 1_000, maxShed: 0.95 });
  const level = (shed: number) => ({ shed, state: 'shedding' as const, retryAfterMs: 0, ttlMs: 1_000 });
  const turns = (of: LevelMemory, count: number, turnMs: number, fromMs: number): number => {
    let nowMs = fromMs;
    for (let turn = 0; turn < count; turn += 1) {
      nowMs += turnMs;
      of.pass(turnMs, nowMs);
    }
    return nowMs;
  };

  it('counts in full for its TTL, then halves each second, then is nothing', () => {
    const shed = memory();
    expect(shed.state).toBe('unknown');
    shed.renew(level(0.8), 0);
    let nowMs = turns(shed, 10, 100, 0);
    expect([shed.shed, shed.state]).toEqual([0.8, 'shedding']);
    nowMs = turns(shed, 10, 100, nowMs);
    expect(shed.shed).toBeCloseTo(0.4, 5);
    expect(shed.state).toBe('stale');
    nowMs = turns(shed, 10, 100, nowMs);
    expect(shed.shed).toBeCloseTo(0.2, 5);
    turns(shed, 60, 100, nowMs);
    expect(shed.shed).toBe(0);
    expect(shed.staleMs).toBeGreaterThan(7_000);
  });

  it('stands when it is confirmed, and never exceeds maxShed', () => {
    const shed = memory();
    shed.renew(level(1), 0);
    let nowMs = 0;
    for (let n = 0; n < 20; n += 1) {
      nowMs = turns(shed, 9, 100, nowMs);
      shed.confirm(nowMs);
    }
    expect([shed.shed, shed.isStale, shed.staleMs]).toEqual([0.95, false, 0]);
  });

  it('does not take a blocked event loop for a silent signal, but for 30 s at most', () => {
    const shed = memory();
    shed.renew(level(0.8), 0);
    const nowMs = turns(shed, 3, 2_000, 0);
    expect(shed.shed).toBe(0.8);
    turns(shed, 13, 2_000, nowMs);
    expect(shed.shed).toBe(0);
  });

  it('only falls without news', () => {
    void fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(fc.double({ min: -100, max: 5_000, noNaN: true })),
        (shed, steps) => {
          const of = memory();
          of.renew(level(shed), 0);
          let nowMs = 0;
          let before = of.shed;
          for (const stepMs of steps) {
            nowMs += stepMs;
            of.pass(stepMs, nowMs);
            expect(of.shed).toBeLessThanOrEqual(before);
            before = of.shed;
          }
        },
      ),
    );
  });
});
