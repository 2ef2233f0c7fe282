import { expect, it } from 'vitest';
import { type NodeEvent, NodeEventLog } from './node-events.ts';

const event = (message: string, facts: NodeEvent['facts'] = {}): NodeEvent => ({
  type: 'Warning',
  reason: 'SchedExtEjected',
  message,
  facts,
});

const make = () => {
  const told: NodeEvent[] = [];
  const clock = { nowMs: Date.parse('2026-11-24T10:00:00Z') };
  return { told, clock, log: new NodeEventLog([(each) => told.push(each)], () => clock.nowMs) };
};

it('tells a repeated event once, and counts it', () => {
  const { told, clock, log } = make();
  log.emit(event('a', { hint: 'x' }));
  clock.nowMs += 60_000;
  log.emit(event('a', { hint: 'y' }));
  expect(told).toHaveLength(1);
  expect(log.recent()[0]).toMatchObject({
    message: 'a',
    count: 2,
    firstAt: '2026-11-24T10:00:00.000Z',
    lastAt: '2026-11-24T10:01:00.000Z',
  });
  log.emit({ ...event('a'), type: 'Normal' });
  log.emit(event('a'));
  expect(told).toHaveLength(3);
  clock.nowMs += 10 * 60_000;
  log.emit(event('a'));
  expect(told).toHaveLength(4);
});

it('tells no more than its rate, but keeps the latest to look at', () => {
  const { told, clock, log } = make();
  for (let n = 0; n < 100; n += 1) log.emit(event(`event ${n}`));
  expect(told).toHaveLength(20);
  expect(log.suppressed).toBe(80);
  expect(log.recent()).toHaveLength(20);
  expect(log.recent().at(-1)?.message).toBe('event 99');
  clock.nowMs += 61_000;
  for (let n = 100; n < 110; n += 1) log.emit(event(`event ${n}`));
  expect(told).toHaveLength(22);
});

it('does not stumble over a clock that is set back', () => {
  const { told, clock, log } = make();
  clock.nowMs -= 3_600_000;
  log.emit(event('a'));
  expect(told).toHaveLength(1);
});
