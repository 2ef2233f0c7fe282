import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { writeBtf } from '../../test/fixtures/btf-writer.ts';
import { isFailure } from '../failure.ts';
import { abiMismatch } from './abi.ts';
import { BTF_KIND, parseBtf } from './btf.ts';
import { readConstants } from './layout-generator.ts';

describe('readConstants', () => {
  it('reads defines, shifts and enums, and refuses what it cannot read', () => {
    const header = [
      '#define SLO_SLOTS\t\t16384\t/* many */',
      '#define SLO_NO_SLOT\t\t0xffffffffu',
      '#define SLO_POLICY_DEADLINE\t(1u << 3) /* flag */',
      'enum slo_reason {',
      '\tSLO_REASON_OVER = 1,\t /* spent */',
      '};',
    ].join('\n');
    expect(readConstants(header)).toEqual(
      new Map([
        ['SLO_SLOTS', 16384],
        ['SLO_NO_SLOT', 0xffff_ffff],
        ['SLO_POLICY_DEADLINE', 8],
        ['SLO_REASON_OVER', 1],
      ]),
    );
    expect(() => readConstants('#define SLO_X (SLO_Y + 1)')).toThrow('SLO_X');
  });
});

const hasTools = ['/usr/sbin/bpftool', '/usr/bin/bpftool'].some((path) => existsSync(path));

it.skipIf(!hasTools)('layout.gen.ts agrees with bpf/abi.h (needs clang and bpftool)', () => {
  const script = fileURLToPath(new URL('layout-generator.ts', import.meta.url));
  execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' });
});

describe('abiMismatch', () => {
  const control = (sizeBytes: number, generationBits: number) => {
    const words = ['heartbeat_ns', 1, 0, 'generation', 1, generationBits];
    const btf = parseBtf(
      writeBtf([
        { kind: BTF_KIND.INT, name: 'u32', sizeOrType: 4, words: [32] },
        { kind: BTF_KIND.STRUCT, name: 'slo_control', sizeOrType: sizeBytes, memberCount: 2, words },
      ]),
    );
    if (isFailure(btf)) throw new Error(btf.why);
    return abiMismatch(btf);
  };

  it('passes what fits, and names what moved', () => {
    expect(control(16, 64)).toBeUndefined();
    expect(control(24, 64)).toBe('struct slo_control has 24 bytes, the agent expects 16');
    expect(control(16, 96)).toBe('slo_control.generation is at 12, the agent expects it at 8');
  });
});
