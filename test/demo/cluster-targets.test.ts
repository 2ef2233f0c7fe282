import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTargets, turnsFromTrips } from './cluster-targets.ts';

describe('the load on a cluster', () => {
  it('reads services and their shares', () => {
    expect(parseTargets(['checkout.shop:8080=0.4', 'b:1=4'])).toEqual([
      { host: 'checkout.shop', port: 8080, share: 0.4 },
      { host: 'b', port: 1, share: 4 },
    ]);
  });

  it.each(['', 'checkout', 'checkout:8080', 'a:8080=0', 'a:8080=5', 'a:99999=1', 'a:8080=1e3', ':1=1'])(
    'refuses %j and says what it wants',
    (text) => {
      expect(parseTargets([text])).toContain('HOST:PORT=SHARE');
    },
  );

  it('takes no service for a mistake', () => {
    expect(parseTargets([])).toBe('no service is named');
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.array(fc.string()), (texts) => void parseTargets(texts)));
  });

  it('finds the turns of a request from two trips', () => {
    expect(turnsFromTrips({ bareMs: 1, loadedMs: 3, turns: 100 }, 4)).toBe(200);
    expect(turnsFromTrips({ bareMs: 1, loadedMs: 1, turns: 100 }, 4)).toBeUndefined();
  });
});
