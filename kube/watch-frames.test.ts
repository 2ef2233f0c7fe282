import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.ts';
import { type WatchFrame, WatchFrames, WatchProtocolError } from './watch-frames.ts';

const frame = fc.record({
  type: fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'),
  object: fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()),
});

describe('watch frames', () => {
  it('come out as they went in, wherever the chunks end', () => {
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.nat({ max: 500 })), (frames, cuts) => {
        // What JSON itself loses (-0, keys of the prototype) is no matter here.
        const sent: WatchFrame[] = frames.map((one) => JSON.parse(JSON.stringify(one)));
        const bytes = Buffer.from(sent.map((one) => `${JSON.stringify(one)}\n`).join(''));
        const ends = [...new Set(cuts.filter((cut) => cut < bytes.length))].sort((a, b) => a - b);
        const parser = new WatchFrames();
        const got = [...ends, bytes.length].flatMap((end, i) => [
          ...parser.take(bytes.subarray(ends[i - 1] ?? 0, end)),
        ]);
        expect(got).toEqual(sent);
      }),
    );
  });

  it('either come out or are a protocol error, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          for (const { type, object } of new WatchFrames().take(Buffer.from(bytes)))
            expect([typeof type, typeof object]).toEqual(['string', 'object']);
        } catch (error) {
          expect(error).toBeInstanceOf(WatchProtocolError);
        }
      }),
    );
  });

  it('are refused where a line does not end', () => {
    const parser = new WatchFrames(1_000);
    const feed = (): void => {
      for (let i = 0; i < 20; i += 1) [...parser.take(Buffer.alloc(100, 'a'))];
    };
    expect(feed).toThrow('longer than 1000 bytes');
  });
});

describe('back-off', () => {
  it('grows to its limit, keeps to what the server asked for, and never goes below half of its step', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ x: fc.double({ min: 0, max: 0.999, noNaN: true }), askedMs: fc.nat(9_999) })),
        (steps) => {
          const randoms = steps.map(({ x }) => x);
          let at = 0;
          const backoff = new Backoff({ minMs: 500, maxMs: 30_000, random: () => randoms[at] ?? 0 });
          for (const [i, { askedMs }] of steps.entries()) {
            at = i;
            const stepMs = Math.min(30_000, 500 * 2 ** i);
            const delayMs = backoff.nextMs(askedMs);
            expect(delayMs).toBeGreaterThanOrEqual(Math.max(stepMs / 2, askedMs));
            expect(delayMs).toBeLessThanOrEqual(Math.max(stepMs, askedMs + 500));
          }
        },
      ),
    );
  });

  it('begins anew after a success', () => {
    const backoff = new Backoff({ minMs: 100, maxMs: 10_000, random: () => 0.5 });
    const first = backoff.nextMs();
    expect(backoff.nextMs()).toBeGreaterThan(first);
    backoff.reset();
    expect(backoff.nextMs()).toBe(first);
  });
});
