import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RawType, writeBtf } from '../../test/fixtures/btf-writer.ts';
import { isFailure } from '../failure.ts';
import { BTF_KIND, type Btf, parseBtf } from './btf.ts';

const U32: RawType = { kind: BTF_KIND.INT, name: 'u32', sizeOrType: 4, words: [32] };
/** 1 u32, 2 typedef, 3 array of 6, 4 struct, 5 proto with 3 parameters, 6 function, 7 variable, 8 section. */
const SAMPLE: RawType[] = [
  U32,
  { kind: BTF_KIND.TYPEDEF, name: 'word', sizeOrType: 1 },
  { kind: BTF_KIND.ARRAY, name: '', words: [2, 1, 6] },
  {
    kind: BTF_KIND.STRUCT,
    name: 'slo',
    sizeOrType: 32,
    memberCount: 2,
    words: ['first', 2, 0, 'list', 3, 64],
  },
  { kind: BTF_KIND.FUNC_PROTO, name: '', sizeOrType: 1, memberCount: 3, words: ['a', 1, 'b', 1, 'c', 1] },
  { kind: BTF_KIND.FUNC, name: 'scx_root_enable_workfn', sizeOrType: 5 },
  { kind: BTF_KIND.VAR, name: 'nr_llcs', sizeOrType: 2, words: [1] },
  { kind: BTF_KIND.DATASEC, name: '.rodata', sizeOrType: 4, memberCount: 1, words: [7, 12, 4] },
];

const parsed = (bytes: Uint8Array): Btf => {
  const btf = parseBtf(bytes);
  if (isFailure(btf)) throw new Error(btf.why);
  return btf;
};

const whyNot = (bytes: Uint8Array): string => {
  const btf = parseBtf(bytes);
  return isFailure(btf) ? btf.why : 'parsed';
};

/** Asks everything; only the absence of exceptions and endless loops counts. */
const askAll = (bytes: Uint8Array): void => {
  const btf = parseBtf(bytes);
  if (isFailure(btf)) return;
  for (let id = 0; id <= btf.typeCount + 1; id++) {
    btf.nameOf(id);
    btf.kindOf(id);
    btf.sizeOf(id);
    btf.struct(id);
  }
  btf.section('.rodata');
  btf.parameterCount('scx_root_enable_workfn');
  btf.functions('scx_', /./);
};

describe('parseBtf', () => {
  const btf = parsed(writeBtf(SAMPLE));

  it('reads structs, through typedefs and arrays', () => {
    expect(btf.typeCount).toBe(8);
    expect(btf.struct('slo')).toEqual({
      name: 'slo',
      sizeBytes: 32,
      fields: [
        { name: 'first', offsetBytes: 0, sizeBytes: 4, typeId: 2 },
        { name: 'list', offsetBytes: 8, sizeBytes: 24, typeId: 3 },
      ],
    });
    expect(btf.struct('sl')).toBeUndefined();
  });

  it('reads functions, their parameters, and sections', () => {
    expect(btf.parameterCount('scx_root_enable_workfn')).toBe(3);
    expect(btf.parameterCount('nr_llcs')).toBeUndefined();
    expect(btf.functions('scx_', /workfn$/)).toEqual(['scx_root_enable_workfn']);
    expect(btf.section('.rodata')).toEqual([{ name: 'nr_llcs', offsetBytes: 12, sizeBytes: 4, typeId: 2 }]);
    expect(btf.section('.data')).toBeUndefined();
  });

  it('takes bit fields for what they are: the offset without the width', () => {
    const words = ['flag', 1, (3 << 24) | 40];
    const types = [
      U32,
      { kind: BTF_KIND.STRUCT, name: 's', sizeOrType: 8, kindFlag: true, memberCount: 1, words },
    ];
    expect(parsed(writeBtf(types)).struct('s')?.fields[0]?.offsetBytes).toBe(5);
  });

  it('skips kinds of the future where the data tells their size, and refuses them where it does not', () => {
    const types = [{ kind: 21, name: 'new', memberCount: 2, words: [9, 9, 9] }, U32];
    const kinds = Array.from({ length: 22 }, (_, kind): [number, number] => (kind === 21 ? [4, 4] : [0, 0]));
    expect(parsed(writeBtf(types, kinds)).find(BTF_KIND.INT, 'u32')).toBe(2);
    expect(whyNot(writeBtf(types))).toBe('type 1 has the unknown kind 21');
  });

  it('survives alias and array loops, and references to nowhere', () => {
    const loop = parsed(
      writeBtf([
        { kind: BTF_KIND.TYPEDEF, name: 'a', sizeOrType: 2 },
        { kind: BTF_KIND.CONST, name: '', sizeOrType: 1 },
        { kind: BTF_KIND.ARRAY, name: '', words: [3, 3, 2] },
        { kind: BTF_KIND.FUNC, name: 'f', sizeOrType: 99 },
      ]),
    );
    expect([loop.sizeOf(1), loop.sizeOf(3), loop.struct(1), loop.parameterCount('f')]).toEqual([
      0,
      0,
      undefined,
      undefined,
    ]);
  });

  it.each([
    ['nothing', new Uint8Array(), '0 bytes are too few for a header'],
    ['zeroes', new Uint8Array(64), 'wrong magic 0x0'],
    ['a cut file', writeBtf(SAMPLE).slice(0, 80), /sections end at \d+ but there are 80 bytes/],
    ['a type that runs out', writeBtf([{ kind: BTF_KIND.STRUCT, name: 's', memberCount: 9 }]), /runs past/],
  ])('answers with the reason for %s', (_, bytes, why) => {
    expect(whyNot(bytes)).toMatch(why);
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), askAll));
  });

  it('never throws on valid data with some bytes changed, or cut anywhere', () => {
    const change = fc.record({ at: fc.nat(writeBtf(SAMPLE).length - 1), value: fc.nat(255) });
    const broken = fc.tuple(fc.array(change, { maxLength: 8 }), fc.nat(writeBtf(SAMPLE).length));
    fc.assert(
      fc.property(broken, ([changes, length]) => {
        const bytes = writeBtf(SAMPLE);
        for (const { at, value } of changes) bytes[at] = value;
        askAll(bytes.slice(0, length));
        askAll(bytes);
      }),
      { numRuns: 500 },
    );
  });
});

const VMLINUX = '/sys/kernel/btf/vmlinux';
const BPFTOOL = '/usr/sbin/bpftool';
const canCompare = existsSync(VMLINUX) && existsSync(BPFTOOL);

describe.skipIf(!canCompare)(`the running kernel's BTF (needs ${VMLINUX} and bpftool)`, () => {
  it('is read as bpftool reads it', () => {
    const btf = parsed(readFileSync(VMLINUX));
    const lines = execFileSync(BPFTOOL, ['btf', 'dump', 'file', VMLINUX], { maxBuffer: 1 << 28 })
      .toString()
      .split('\n');
    const types = lines.filter((line) => line.startsWith('['));
    expect(btf.typeCount).toBe(types.length);
    const header = lines.findIndex((line) => /^\[\d+\] STRUCT 'task_struct' /.test(line));
    const wanted = [...lines.slice(header + 1, header + 400)]
      .slice(0, Number(/vlen=(\d+)/.exec(lines[header] ?? '')?.[1]))
      .map((line) => /'(.*)' type_id=(\d+) bits_offset=(\d+)/.exec(line)?.slice(1) ?? []);
    const fields = btf
      .struct('task_struct')
      ?.fields.map((f) => [f.name, `${f.typeId}`, `${f.offsetBytes * 8}`]);
    const named = (rows: string[][] | undefined) =>
      rows?.filter(([name]) => name !== '' && name !== '(anon)');
    const wholeBytes = (rows: string[][] | undefined) =>
      named(rows)?.filter((row) => Number(row[2]) % 8 === 0);
    expect(wholeBytes(fields)?.length).toBeGreaterThan(100);
    expect(wholeBytes(fields)).toEqual(wholeBytes(wanted));
  });

  it('is read in well under 200 ms of CPU time', () => {
    const bytes = readFileSync(VMLINUX);
    const start = process.cpuUsage();
    const btf = parsed(bytes);
    btf.parameterCount('scx_bpf_create_dsq');
    btf.functions('scx_', /enable_workfn$/);
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(200);
  });
});
