/**
 * Reader for BTF, the type description that the kernel (/sys/kernel/btf/vmlinux) and every BPF object carry.
 * Pure: bytes in, answers out. Input may be malformed or cut (kernels are built with broken tools in the
 * field): then `parseBtf` answers with a Failure and never throws.
 *
 * Format: Linux Documentation/bpf/btf.rst. Only little-endian, as all machines that we run on are.
 */
import type { Failure } from '../failure.ts';
import { type BtfSections, indexTypes, parseHeader, TYPE_BYTES } from './btf-sections.ts';

export const BTF_KIND = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

export interface BtfField {
  name: string;
  offsetBytes: number;
  /** 0 where the type has no size of its own (function, forward declaration) or is broken. */
  sizeBytes: number;
  typeId: number;
}

export interface BtfStruct {
  name: string;
  sizeBytes: number;
  fields: BtfField[];
}

export interface Btf {
  /** Number of types; ids are 1 .. typeCount. */
  readonly typeCount: number;
  kindOf(typeId: number): number | undefined;
  nameOf(typeId: number): string;
  /** First type of that name and kind. Linear: about 10 ms for a kernel. */
  find(kind: number, name: string): number | undefined;
  /** Names of all functions that match; `prefix` keeps the scan cheap. */
  functions(prefix: string, pattern: RegExp): string[];
  /** Parameters of a function; undefined: there is no such function, or its prototype is broken. */
  parameterCount(functionName: string): number | undefined;
  /** A struct by name, or the struct behind a type id (through typedefs and qualifiers). */
  struct(nameOrId: string | number): BtfStruct | undefined;
  /** Variables of a data section such as `.rodata`, with their offsets in it. */
  section(name: string): BtfField[] | undefined;
  sizeOf(typeId: number): number;
}

/** Typedefs and qualifiers that are followed before a loop is assumed. */
const MAX_ALIASES = 64;

/** Reads the bytes of a BTF section. They must not change afterwards. */
export const parseBtf = (bytes: Uint8Array): Btf | Failure => {
  const sections = parseHeader(bytes);
  if ('code' in sections) return sections;
  const offsets = indexTypes(sections);
  if ('code' in offsets) return offsets;
  return new ParsedBtf(sections, offsets);
};

class ParsedBtf implements Btf {
  readonly typeCount: number;
  readonly #view: DataView;
  readonly #strings: Uint8Array;
  readonly #offsets: Uint32Array;
  readonly #text = new TextDecoder();

  constructor(sections: BtfSections, offsets: Uint32Array) {
    this.#view = sections.view;
    this.#strings = sections.strings;
    this.#offsets = offsets;
    this.typeCount = offsets.length - 1;
  }

  /** Offset of the type's record, undefined for void and ids out of range. */
  #at(typeId: number): number | undefined {
    return typeId > 0 ? this.#offsets[typeId] : undefined;
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #kind(at: number): number {
    return (this.#u32(at + 4) >>> 24) & 0x7f;
  }

  #string(offset: number): string {
    if (offset >= this.#strings.length) return '';
    return this.#text.decode(this.#strings.subarray(offset, this.#strings.indexOf(0, offset)));
  }

  #nameStartsWith(at: number, prefix: Uint8Array): boolean {
    const start = this.#u32(at);
    for (let i = 0; i < prefix.length; i++) if (this.#strings[start + i] !== prefix[i]) return false;
    return true;
  }

  kindOf(typeId: number): number | undefined {
    const at = this.#at(typeId);
    return at === undefined ? undefined : this.#kind(at);
  }

  nameOf(typeId: number): string {
    const at = this.#at(typeId);
    return at === undefined ? '' : this.#string(this.#u32(at));
  }

  find(kind: number, name: string): number | undefined {
    const wanted = new TextEncoder().encode(`${name}\0`);
    for (let id = 1; id <= this.typeCount; id++) {
      const at = this.#offsets[id] as number;
      if (this.#kind(at) === kind && this.#nameStartsWith(at, wanted)) return id;
    }
    return undefined;
  }

  functions(prefix: string, pattern: RegExp): string[] {
    const start = new TextEncoder().encode(prefix);
    const found: string[] = [];
    for (let id = 1; id <= this.typeCount; id++) {
      const at = this.#offsets[id] as number;
      if (this.#kind(at) !== BTF_KIND.FUNC || !this.#nameStartsWith(at, start)) continue;
      const name = this.#string(this.#u32(at));
      if (pattern.test(name)) found.push(name);
    }
    return found;
  }

  parameterCount(functionName: string): number | undefined {
    const id = this.find(BTF_KIND.FUNC, functionName);
    const at = id === undefined ? undefined : this.#at(this.#u32((this.#at(id) ?? 0) + 8));
    if (at === undefined || this.#kind(at) !== BTF_KIND.FUNC_PROTO) return undefined;
    return this.#u32(at + 4) & 0xffffff;
  }

  /** Follows typedefs and qualifiers; gives up on loops, which only broken input has. */
  #resolve(typeId: number): number | undefined {
    let at = this.#at(typeId);
    for (let step = 0; at !== undefined && step < MAX_ALIASES; step++) {
      const kind = this.#kind(at);
      const alias = (kind >= BTF_KIND.TYPEDEF && kind <= BTF_KIND.RESTRICT) || kind === BTF_KIND.TYPE_TAG;
      if (!alias) return at;
      at = this.#at(this.#u32(at + 8));
    }
    return undefined;
  }

  sizeOf(typeId: number): number {
    let elements = 1;
    let at = this.#resolve(typeId);
    for (let depth = 0; at !== undefined && depth < MAX_ALIASES; depth++) {
      const kind = this.#kind(at);
      if (kind === BTF_KIND.PTR) return 8 * elements;
      if (kind !== BTF_KIND.ARRAY) return HAS_SIZE.has(kind) ? this.#u32(at + 8) * elements : 0;
      elements *= this.#u32(at + 20);
      at = this.#resolve(this.#u32(at + 12));
    }
    return 0;
  }

  struct(nameOrId: string | number): BtfStruct | undefined {
    const id = typeof nameOrId === 'string' ? this.find(BTF_KIND.STRUCT, nameOrId) : nameOrId;
    const at = id === undefined ? undefined : this.#resolve(id);
    if (at === undefined || this.#kind(at) !== BTF_KIND.STRUCT) return undefined;
    const info = this.#u32(at + 4);
    // kind_flag: the upper 8 bits of each offset hold a bit field's width
    const offsetMask = info >>> 31 ? 0xffffff : 0xffffffff;
    const fields: BtfField[] = [];
    for (let i = 0; i < (info & 0xffffff); i++) {
      const member = at + TYPE_BYTES + i * 12;
      const typeId = this.#u32(member + 4);
      fields.push({
        name: this.#string(this.#u32(member)),
        offsetBytes: ((this.#u32(member + 8) & offsetMask) >>> 0) / 8,
        sizeBytes: this.sizeOf(typeId),
        typeId,
      });
    }
    return { name: this.#string(this.#u32(at)), sizeBytes: this.#u32(at + 8), fields };
  }

  section(name: string): BtfField[] | undefined {
    const id = this.find(BTF_KIND.DATASEC, name);
    const at = id === undefined ? undefined : this.#at(id);
    if (at === undefined) return undefined;
    const fields: BtfField[] = [];
    for (let i = 0; i < (this.#u32(at + 4) & 0xffffff); i++) {
      const entry = at + TYPE_BYTES + i * 12;
      const variable = this.#at(this.#u32(entry));
      if (variable === undefined || this.#kind(variable) !== BTF_KIND.VAR) continue;
      fields.push({
        name: this.#string(this.#u32(variable)),
        offsetBytes: this.#u32(entry + 4),
        sizeBytes: this.#u32(entry + 8),
        typeId: this.#u32(variable + 8),
      });
    }
    return fields;
  }
}

const HAS_SIZE: ReadonlySet<number> = new Set([
  BTF_KIND.INT,
  BTF_KIND.STRUCT,
  BTF_KIND.UNION,
  BTF_KIND.ENUM,
  BTF_KIND.FLOAT,
  BTF_KIND.ENUM64,
]);
