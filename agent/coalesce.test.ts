import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Coalescer } from './coalesce.ts';
import { ProblemLog } from './problem-log.ts';

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'],
  });
  // a clock that starts at zero would make the first request look early
  vi.advanceTimersByTime(1_000);
});
afterEach(() => {
  vi.useRealTimers();
});

const counted = (gapMs: number) => {
  const runs: number[] = [];
  const startMs = performance.now();
  const coalescer = new Coalescer(() => runs.push(performance.now() - startMs), gapMs);
  return { runs, coalescer };
};

it('runs at once, then once for everything asked within the gap', () => {
  const { runs, coalescer } = counted(20);
  coalescer.request();
  coalescer.request();
  vi.advanceTimersByTime(1);
  expect(runs).toHaveLength(1);
  for (let n = 0; n < 50; n += 1) coalescer.request();
  vi.advanceTimersByTime(100);
  expect(runs).toHaveLength(2);
  expect((runs[1] ?? 0) - (runs[0] ?? 0)).toBeGreaterThanOrEqual(20);
});

it('keeps the earliest of several delayed requests', () => {
  const { runs, coalescer } = counted(0);
  coalescer.request(500);
  coalescer.request(100);
  coalescer.request(300);
  vi.advanceTimersByTime(99);
  expect(runs).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(runs).toHaveLength(1);
  vi.advanceTimersByTime(1_000);
  expect(runs).toHaveLength(1);
});

it('runs nothing after its stop', () => {
  const { runs, coalescer } = counted(0);
  coalescer.request(10);
  coalescer.stop();
  coalescer.request();
  vi.advanceTimersByTime(100);
  expect(runs).toEqual([]);
});

it('says a lasting problem once, and again after it went away', () => {
  const said: string[] = [];
  const log = new ProblemLog((kind, problem) => said.push(`${kind}: ${problem}`));
  log.update('config', ['line 1']);
  log.update('config', ['line 1', 'line 2']);
  log.update('config', []);
  log.update('config', ['line 1']);
  expect(said).toEqual(['config: line 1', 'config: line 2', 'config: line 1']);
});
