import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventStreamParser, type StreamEvent } from './event-stream.ts';

const parse = (chunks: readonly string[]): StreamEvent[] | undefined => {
  const parser = new EventStreamParser();
  const events: StreamEvent[] = [];
  for (const chunk of chunks) {
    const more = parser.push(chunk);
    if (more === undefined) return undefined;
    events.push(...more);
  }
  return events;
};

describe('an event stream', () => {
  it('is read event by event', () => {
    expect(
      parse(['event: level\ndata: {"a":\ndata:1}\nid: 3\n\n', ': here\n', 'data: x\n\nevent: none\n\n']),
    ).toEqual([
      { name: 'level', data: '{"a":\n1}' },
      { name: undefined, data: '' },
      { name: 'message', data: 'x' },
    ]);
  });

  it('means the same however it is cut, and with every end of line', () => {
    const text = 'event: level\ndata: {"shed":0.5}\n\n: beat\n\nevent: heartbeat\ndata: {}\n\n';
    const whole = parse([text]);
    expect(whole).toHaveLength(3);
    const cuts = fc.array(fc.nat({ max: text.length * 2 }), { maxLength: 8 });
    void fc.assert(
      fc.property(cuts, fc.constantFrom('\n', '\r', '\r\n'), (positions, end) => {
        const sent = text.replaceAll('\n', end);
        const at = [0, ...positions.filter((p) => p < sent.length).sort((a, b) => a - b), sent.length];
        const chunks = at.slice(1).map((to, index) => sent.slice(at[index], to));
        expect(parse(chunks)).toEqual(whole);
      }),
    );
  });

  it('is given up when a line or an event has no end', () => {
    const kilobyte = 'x'.repeat(1_024);
    expect(parse(Array.from({ length: 10 }, () => kilobyte))).toBeUndefined();
    expect(parse(Array.from({ length: 10 }, () => `data: ${kilobyte}\n`))).toBeUndefined();
  });

  it('never throws', () => {
    void fc.assert(
      fc.property(fc.array(fc.string()), (chunks) => {
        parse(chunks);
      }),
    );
  });
});
