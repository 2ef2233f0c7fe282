import { describe, expect, it } from 'vitest';
import { parseOptions } from './options.ts';

const pair = ['--cert', 'a.crt', '--key', 'a.key'];

describe('webhook options', () => {
  it('defaults to the documented ports', () => {
    expect(parseOptions(pair)).toMatchObject({
      certFile: 'a.crt',
      keyFile: 'a.key',
      port: 10_250,
      healthPort: 9091,
      lameDuckMs: 5000,
    });
  });

  it.each([
    [[]],
    [['--cert', 'a.crt']],
    [[...pair, '--port', '65536']],
    [[...pair, '--port', '-1']],
    [[...pair, '--port', '0x10']],
    [[...pair, '--health-port', '']],
    [[...pair, '--lame-duck', '601']],
    [[...pair, '--nonsense']],
    [[...pair, 'extra']],
  ])('refuses %j', (argv) => {
    expect(parseOptions(argv)).toEqual({ error: expect.any(String) });
  });

  it('knows --help without the rest', () => {
    expect(parseOptions(['--help'])).toBe('help');
  });
});
