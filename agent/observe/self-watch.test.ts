import { describe, expect, it } from 'vitest';
import { SelfWatch } from './self-watch.ts';

describe('SelfWatch', () => {
  it('says how late the latest of some ticks was', () => {
    const watch = new SelfWatch(200);
    for (let tick = 0; tick < 30; tick += 1) watch.ticked(tick * 200);
    watch.ticked(30 * 200 + 35);
    expect(watch.takeP99S()).toBeCloseTo(0.035, 3);
  });

  it('counts a tick that comes early as one without delay', () => {
    const watch = new SelfWatch(200);
    for (const nowMs of [0, 150, 300]) watch.ticked(nowMs);
    expect(watch.takeP99S()).toBeCloseTo(0, 4);
  });

  it('begins anew with each scrape, and has nothing to say before the first tick', () => {
    const watch = new SelfWatch(200);
    expect(watch.takeP99S()).toBe(0);
    watch.ticked(0);
    watch.ticked(1_200);
    expect(watch.takeP99S()).toBeCloseTo(1, 2);
    expect(watch.takeP99S()).toBe(0);
    watch.ticked(1_400);
    expect(watch.takeP99S()).toBeCloseTo(0, 4);
  });
});
