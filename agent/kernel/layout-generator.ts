/**
 * Writes layout.gen.ts: constants of bpf/abi.h, and the sizes and offsets of its structs as clang lays them out
 * for BPF. `node agent/kernel/layout-generator.ts`; with `--check` it writes nothing and fails when the file in
 * the tree differs. The header is compiled alone, because an object's BTF lacks the structs that it only casts
 * to; bpf-object.ts compares the built objects with this file when it opens them. Needs clang and bpftool.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

interface BtfDump {
  types: BtfDumpType[];
}

interface BtfDumpType {
  id: number;
  kind: string;
  name: string;
  size?: number;
  type_id?: number;
  nr_elems?: number;
  members?: { name: string; type_id: number; bits_offset: number }[];
}

interface Layout {
  sizeBytes: number;
  fields: { name: string; offsetBytes: number; sizeBytes: number }[];
}

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const headerPath = join(root, 'bpf/abi.h');
const outputPath = join(root, 'agent/kernel/layout.gen.ts');

const camelCase = (name: string): string =>
  name.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** `#define SLO_X 16`, `#define SLO_X 0xffu`, `#define SLO_X (1u << 0)` and `SLO_X = 1,` inside enums. */
export const readConstants = (header: string): Map<string, number> => {
  const constants = new Map<string, number>();
  for (const line of header.split('\n')) {
    const plain = /^(?:#define\s+|\s+)(SLO_\w+)(?:\s+|\s*=\s*)(\d+|0x[0-9a-f]+u?)\s*,?\s*(?:\/\*.*)?$/.exec(
      line,
    );
    const shifted = /^#define\s+(SLO_\w+)\s+\((\d+)u?\s*<<\s*(\d+)\)/.exec(line);
    if (plain?.[1]) constants.set(plain[1], Number(plain[2]?.replace(/u$/, '')));
    else if (shifted?.[1]) constants.set(shifted[1], Number(shifted[2]) * 2 ** Number(shifted[3]));
    else if (/^#define\s+SLO_\w+\s/.test(line)) throw new Error(`abi.h: cannot read this constant: ${line}`);
  }
  return constants;
};

const sizeOf = (types: Map<number, BtfDumpType>, id: number): number => {
  const type = types.get(id);
  if (!type) throw new Error(`BTF has no type ${id}`);
  if (type.kind === 'ARRAY') return (type.nr_elems ?? 0) * sizeOf(types, type.type_id ?? 0);
  if (type.kind === 'PTR') return 8;
  return type.size ?? sizeOf(types, type.type_id ?? 0);
};

const readLayouts = (dump: BtfDump, wanted: readonly string[]): Map<string, Layout> => {
  const types = new Map(dump.types.map((type) => [type.id, type]));
  const layouts = new Map<string, Layout>();
  for (const type of dump.types) {
    if (type.kind !== 'STRUCT' || !wanted.includes(type.name)) continue;
    const fields = (type.members ?? []).map((member) => ({
      name: camelCase(member.name),
      offsetBytes: member.bits_offset / 8,
      sizeBytes: sizeOf(types, member.type_id),
    }));
    layouts.set(type.name, { sizeBytes: type.size ?? 0, fields });
  }
  return layouts;
};

/** The ABI's own rule: no implicit padding, size a multiple of 8. */
const checkPadding = (name: string, layout: Layout): void => {
  let end = 0;
  for (const field of layout.fields) {
    if (field.offsetBytes !== end) throw new Error(`struct ${name}: padding before ${field.name}`);
    end = field.offsetBytes + field.sizeBytes;
  }
  if (end !== layout.sizeBytes || end % 8 !== 0) throw new Error(`struct ${name}: padding at the end`);
};

/** First of the names that runs here. */
const findTool = (names: readonly string[]): string => {
  for (const name of names) {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' });
      return name;
    } catch {
      // not this one
    }
  }
  throw new Error(`none of ${names.join(', ')} is installed. Next: run \`make setup\``);
};

/** The header with one variable of each struct: without a use clang leaves a type out of the BTF. */
const probeSource = (structs: readonly string[]): string => `
typedef unsigned long long __u64; typedef long long __s64; typedef unsigned int __u32;
#include "abi.h"
${structs.map((name) => `struct ${name} a_${name};`).join('\n')}
`;

const dumpBtf = (structs: readonly string[]): BtfDump => {
  const clang = findTool(['clang-19', 'clang-18', 'clang-17', 'clang-16', 'clang']);
  const bpftool = findTool(['/usr/sbin/bpftool', 'bpftool']);
  const scratch = mkdtempSync(join(tmpdir(), 'scx-slo-layout-'));
  try {
    const object = join(scratch, 'abi.bpf.o');
    const flags = ['-target', 'bpf', '-O2', '-g', '-I', dirname(headerPath)];
    execFileSync(clang, [...flags, '-c', '-x', 'c', '-', '-o', object], { input: probeSource(structs) });
    return JSON.parse(execFileSync(bpftool, ['btf', 'dump', 'file', object, '-j']).toString()) as BtfDump;
  } finally {
    rmSync(scratch, { recursive: true });
  }
};

export const renderLayout = (constants: Map<string, number>, layouts: Map<string, Layout>): string => {
  const lines = [
    '// Generated by agent/kernel/layout-generator.ts from bpf/abi.h and its BTF. Do not edit.',
    '',
  ];
  for (const [name, value] of constants) lines.push(`export const ${name} = ${value};`);
  for (const [name, layout] of [...layouts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const upper = name.toUpperCase();
    const offsets = layout.fields.map((field) => `  ${field.name}: ${field.offsetBytes},`);
    const sizes = layout.fields.map((field) => `  ${field.name}: ${field.sizeBytes},`);
    lines.push('', `/** struct ${name}: offsets in bytes. */`);
    lines.push(`export const ${upper} = {`, `  size: ${layout.sizeBytes},`, ...offsets, '} as const;');
    lines.push(`export const ${upper}_BYTES = {`, ...sizes, '} as const;');
  }
  return `${lines.join('\n')}\n`;
};

const generate = (): string => {
  const header = readFileSync(headerPath, 'utf8');
  const structs = [...header.matchAll(/^struct (slo_\w+) \{/gm)].map((match) => String(match[1]));
  const layouts = readLayouts(dumpBtf(structs), structs);
  for (const name of structs) {
    const layout = layouts.get(name);
    if (!layout) throw new Error(`the compiler's BTF has no struct ${name}`);
    checkPadding(name, layout);
  }
  return renderLayout(readConstants(header), layouts);
};

const main = (args: string[]): number => {
  const text = generate();
  const current = existsSync(outputPath) ? readFileSync(outputPath, 'utf8') : '';
  if (text === current) return 0;
  if (args.includes('--check')) {
    console.error(`layout: ${relative(root, outputPath)} is out of date. Next: run \`make generate\``);
    return 1;
  }
  writeFileSync(outputPath, text);
  return 0;
};

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.slice(2));
