import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseResponse } from './http-response.ts';

const ok = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 3\r\nDate: x\r\n\r\nok\n',
);

test('reads status and length, with and without a body', () => {
  expect(parseResponse(ok)).toEqual({ status: 200, bytes: ok.length });
  const shed = Buffer.from('HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length:0\r\n\r\n');
  expect(parseResponse(shed)).toEqual({ status: 429, bytes: shed.length });
});

test('waits for the last byte, and leaves what follows alone', () => {
  fc.assert(
    fc.property(fc.nat(ok.length - 1), fc.string({ maxLength: 20 }), (cut, more) => {
      expect(parseResponse(ok.subarray(0, cut))).toBeUndefined();
      expect(parseResponse(Buffer.concat([ok, Buffer.from(more)]))?.bytes).toBe(ok.length);
    }),
  );
});
