import { describe, expect, it } from 'vitest';
import type { StreamResult } from '../stream.ts';
import { figuresOf, type MeasuredWindow, tableOf } from './figures.ts';

const stream = (name: string, more: Partial<StreamResult>): StreamResult => ({
  name,
  offered: 10,
  served: 0,
  shed: 0,
  failed: 0,
  servedInWindow: 0,
  backlog: 0,
  latenciesMs: [],
  startsMs: [],
  lowerBounds: 0,
  maxLateMs: 0.5,
  openedLate: 0,
  sustained: true,
  ...more,
});

const services = [
  { name: 'checkout', importance: 90, budgetMs: 50, requestMs: 10, share: 0.5 },
  { name: 'search', importance: 50, budgetMs: 100, requestMs: 20, share: 0.5 },
];

const window: MeasuredWindow = {
  variant: 'scx-slo',
  load: 1.5,
  scheduler: 'sched_ext scx_slo',
  windowMs: 1_000,
  cpuSeconds: {},
  streams: [
    stream('checkout', { served: 6, shed: 4, latenciesMs: [10, 20, 30, 40, 50, 51] }),
    stream('search', { served: 2, latenciesMs: [90, 120, 10], lowerBounds: 1, maxLateMs: 2 }),
  ],
};

describe('figures of an overload over HTTP', () => {
  it('count what was answered within the budget, of all that was offered', () => {
    const figures = figuresOf(window, services, 2);
    expect(figures.services.map(({ good, refused }) => [good, refused])).toEqual([
      [0.5, 0.4],
      [0.1, 0],
    ]);
    expect(figures.goodput).toBe((5 * 10 + 1 * 20) / 2_000);
    expect(figures.refused).toBe(0.2);
    expect(figures.maxLateMs).toBe(2);
  });

  it('count a request without an answer as none in time, however young it is', () => {
    const [, search] = figuresOf(window, services, 2).services;
    expect(search?.good).toBe(0.1);
    expect(search?.p99Ms).toBe(120);
  });

  it('are printed as a table', () => {
    expect(
      tableOf([figuresOf(window, services, 2)])
        .split('\n')
        .at(-1),
    ).toBe('| 1.5 x | scx-slo | 50 % | 10 % | 20 % | 4 % | 51 | 120 |');
  });
});
