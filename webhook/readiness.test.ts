import { describe, expect, it } from 'vitest';
import { type NamespaceCacheState, NO_NAMESPACES } from './namespace-view.ts';
import { readiness } from './readiness.ts';

function at(state: NamespaceCacheState, elapsedMs: number, validMs = 1e6) {
  let nowMs = 1000;
  const { notReady, remark } = readiness(
    {
      notAfter: () => new Date(1000 + validMs),
      namespaces: { ...NO_NAMESPACES, state: () => state },
      graceMs: 10_000,
    },
    () => nowMs,
  );
  nowMs += elapsedMs;
  return [notReady(), remark()];
}

describe('readiness', () => {
  it('waits for the first list of namespaces, but not for ever', () => {
    const waiting = [
      'waiting for the first list of namespaces',
      'namespaces: unsynced, the built-in caps hold',
    ];
    expect(at('unsynced', 0)).toEqual(waiting);
    expect(at('unsynced', 9999)).toEqual(waiting);
    expect(at('unsynced', 10_000)).toEqual([undefined, waiting[1]]);
  });

  it('stays ready with a stale list and says so', () => {
    expect(at('stale', 0)).toEqual([undefined, 'namespaces: stale, the built-in caps hold']);
  });

  it.each(['synced', 'off'] as const)('is ready at once when the cache is %s', (state) => {
    expect(at(state, 0)).toEqual([undefined, '']);
  });

  it('is not ready from the second on in which the certificate ends', () => {
    expect(at('synced', 999, 1000)).toEqual([undefined, '']);
    expect(at('synced', 1000, 1000)).toEqual(['the certificate has expired', '']);
  });
});
