import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endToEnd, hasBody, withCaller } from './headers.ts';

describe('headers of a proxy', () => {
  it('end at their connection where they are for one connection', () => {
    const raw = [
      'Host',
      'h',
      'X-A',
      '1',
      'Connection',
      'x-b, close',
      'X-B',
      '2',
      'TE',
      'trailers',
      'x-a',
      '4',
    ];
    expect(endToEnd(raw)).toEqual(['Host', 'h', 'X-A', '1', 'x-a', '4']);
  });

  it('what cuts the message cannot be taken away by name', () => {
    expect(endToEnd(['Connection', 'Content-Length, Host', 'Content-Length', '3', 'Host', 'h'])).toEqual([
      'Content-Length',
      '3',
      'Host',
      'h',
    ]);
  });

  it('name the caller after those that were named before', () => {
    expect(withCaller(['X-Forwarded-For', '1.1.1.1', 'A', 'b'], '::ffff:2.2.2.2')).toEqual([
      'A',
      'b',
      'X-Forwarded-For',
      '1.1.1.1, 2.2.2.2',
    ]);
    expect(withCaller(['A', 'b'], undefined)).toEqual(['A', 'b']);
  });

  it('keep everything else as it was', () => {
    const token = fc.stringMatching(/^x-[a-z]{1,8}$/);
    void fc.assert(
      fc.property(fc.array(fc.tuple(token, fc.string())), (headers) => {
        expect(endToEnd(headers.flat())).toEqual(headers.flat());
      }),
    );
    expect([hasBody({}), hasBody({ 'content-length': '0' }), hasBody({ 'content-length': '1' })]).toEqual([
      false,
      false,
      true,
    ]);
    expect(hasBody({ 'transfer-encoding': 'chunked' })).toBe(true);
  });
});
