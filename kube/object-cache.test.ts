import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CachedObject, ObjectCache } from './object-cache.ts';

const KEYS = ['a/x', 'a/y', 'b/x'];

const object = fc
  .record({ key: fc.constantFrom(...KEYS), uid: fc.constantFrom('1', '2'), version: fc.nat(5).map(String) })
  .map(
    (cached): CachedObject<string> => ({
      ...cached,
      object: `${cached.key} ${cached.uid} ${cached.version}`,
    }),
  );

const step = fc.oneof(
  object.map((one) => ({ kind: 'set' as const, one })),
  fc.constantFrom(...KEYS).map((key) => ({ kind: 'delete' as const, key })),
  fc.uniqueArray(object, { selector: ({ key }) => key }).map((all) => ({ kind: 'replace' as const, all })),
);

describe('the copy that a handler keeps', () => {
  it('is the cache, and every object is told as gone before another takes its name', () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const copy = new Map<string, string>();
        const cache = new ObjectCache<string>(
          {
            onSet: (key, now, previous) => {
              expect(previous).toBe(copy.get(key));
              copy.set(key, now);
            },
            onDelete: (key, gone) => {
              expect(copy.get(key)).toBe(gone);
              copy.delete(key);
            },
          },
          (error) => {
            throw error;
          },
        );
        for (const one of steps) {
          if (one.kind === 'set') cache.set(one.one);
          if (one.kind === 'delete') cache.delete(one.key);
          if (one.kind === 'replace') {
            cache.replace(one.all);
            expect(new Set(copy.values())).toEqual(new Set(one.all.map((all) => all.object)));
          }
          expect(new Set(cache.values())).toEqual(new Set(copy.values()));
        }
      }),
    );
  });

  it('is right after the next list where the handler threw now and then', () => {
    fc.assert(
      fc.property(fc.array(step), fc.infiniteStream(fc.boolean()), (steps, throws) => {
        const copy = new Map<string, string>();
        const calm = new AbortController();
        const maybeThrow = (): void => {
          if (!calm.signal.aborted && throws.next().value) throw new Error('not now');
        };
        const cache = new ObjectCache<string>(
          {
            onSet: (key, now) => {
              maybeThrow();
              copy.set(key, now);
            },
            onDelete: (key) => {
              maybeThrow();
              copy.delete(key);
            },
          },
          () => {},
        );
        const all: CachedObject<string>[] = [{ key: 'a/x', uid: '1', version: '1', object: 'a/x 1 1' }];
        for (const one of steps) {
          if (one.kind === 'set') cache.set(one.one);
          if (one.kind === 'delete') cache.delete(one.key);
          if (one.kind === 'replace') cache.replace(one.all);
        }
        calm.abort();
        cache.replace(all);
        expect([...copy]).toEqual([['a/x', 'a/x 1 1']]);
      }),
      { numRuns: 2_000 },
    );
  });
});
