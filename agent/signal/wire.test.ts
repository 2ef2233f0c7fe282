import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { podLevel } from '../../test/signal-process.ts';
import { parseReport } from './report.ts';
import { type AgentMessage, encode, LineReader, parseAgentMessage, parseSignalMessage } from './wire.ts';

describe('messages', () => {
  it('arrive as they were sent', () => {
    const round: AgentMessage = {
      t: 'round',
      full: true,
      levels: [podLevel('a', ['::1'], 0.3)],
      gone: ['pod/b'],
    };
    expect(parseAgentMessage(encode(round))).toEqual(round);
    const cgroups: AgentMessage = { t: 'cgroups', cgroups: [{ path: '/a', uid: 1, gid: 2 }] };
    expect(parseAgentMessage(encode(cgroups))).toEqual(cgroups);
    const report = { t: 'report', podUid: 'u', queueWaitMs: 3 } as const;
    expect(parseSignalMessage(encode(report))).toEqual(report);
  });

  it('lose what makes no sense, and nothing else', () => {
    const good = podLevel('a', [], 0.3);
    const levels = [
      null,
      7,
      { key: 'pod/x' },
      { ...good, state: 'nonsense' },
      { ...good, shedRatio: 7, importance: -1 },
    ];
    expect(parseAgentMessage(JSON.stringify({ t: 'round', levels, gone: [1, 'k'] }))).toEqual({
      t: 'round',
      full: false,
      levels: [{ ...good, shedRatio: 0.95, importance: 0 }],
      gone: ['k'],
    });
    expect(parseSignalMessage('{"t":"report","podUid":"a","queueWaitMs":null}')).toBeUndefined();
    expect(parseSignalMessage('{"t":"answers","answers":[{"key":"k","allowed":-1,"denied":"x"}]}')).toEqual({
      t: 'answers',
      answers: [{ key: 'k', allowed: 0, denied: 0 }],
      unknown: 0,
    });
  });

  it('of any shape make nothing throw', () => {
    void fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.jsonValue().map((value) => JSON.stringify({ t: 'round', levels: [value], gone: value })),
        ),
        (line) => {
          expect([undefined, 'round', 'cgroups']).toContain(parseAgentMessage(line)?.t);
          expect([undefined, 'report', 'answers']).toContain(parseSignalMessage(line)?.t);
        },
      ),
    );
  });

  it('are cut at line ends, however they are cut on the way, and end at a line that is too long', () => {
    void fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 20 })), fc.array(fc.nat(40)), (texts, cuts) => {
        const lines = texts.map((text) => text.replaceAll('\n', ''));
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const read: string[] = [];
        const reader = new LineReader(1_000, (line) => read.push(line));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        at.slice(1).forEach((end, index) => {
          expect(reader.push(bytes.subarray(at[index], end))).toBe(true);
        });
        expect(read).toEqual(lines);
      }),
    );
    const reader = new LineReader(10, () => undefined);
    expect(reader.push(Buffer.from('12345'))).toBe(true);
    expect(reader.push(Buffer.from('678901'))).toBe(false);
  });
});

describe('reports', () => {
  it.each([
    '',
    'null',
    '[]',
    '12',
    '{}',
    '{"queue_p95_ms":NaN}',
    '{"queue_p95_ms":-0.1}',
    '{"queue_p95_ms":1e999}',
    '{"queue_p95_ms":600001}',
    '{"queue_p95_ms":"5"}',
    '{"queue_p95_ms":null}',
    '{"queue_p95_ms":5,"inflight":-1}',
    '{"queue_p95_ms":5,"accepted":1e300}',
    '{"queue_p95_ms":5',
  ])('%s is none', (text) => {
    expect(parseReport(text)).toBeUndefined();
  });

  it('hold a queue wait between 0 and ten minutes, or are none', () => {
    expect(parseReport('{"queue_p95_ms":12.5,"inflight":31,"accepted":900,"rejected":100,"x":[]}')).toEqual({
      queueWaitMs: 12.5,
    });
    void fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.double().map((ms) => `{"queue_p95_ms":${ms}}`),
        ),
        (text) => {
          const ms = parseReport(text)?.queueWaitMs ?? 0;
          expect(ms).toBeGreaterThanOrEqual(0);
          expect(ms).toBeLessThanOrEqual(600_000);
        },
      ),
    );
  });
});
