/** The outer shape of BTF: header, sections, and where each type starts. Everything is checked against the length. */
import { type Failure, failure } from '../failure.ts';

/** Bytes that follow the 12 of struct btf_type: a fixed part, and one a member; index = kind. */
const FIXED_BYTES = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
const MEMBER_BYTES = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** From Linux 7.3 the header may end with a table of the kinds' sizes, for readers that do not know them. */
const HEADER_WITH_LAYOUT_BYTES = 32;
export const TYPE_BYTES = 12;

const malformed = (why: string): Failure =>
  failure(
    'SLO_E_BTF',
    'type information (BTF) could not be read',
    why,
    'use a kernel or object built with a current pahole and clang',
  );

interface KindSizes {
  fixed: number[];
  member: number[];
}

export interface BtfSections {
  view: DataView;
  typesStart: number;
  typesEnd: number;
  strings: Uint8Array;
  sizes: KindSizes;
}

/** The sizes that the data itself gives, where it does; ours for all kinds that we know. */
const kindSizes = (view: DataView, headerLength: number): KindSizes => {
  const sizes = { fixed: [...FIXED_BYTES], member: [...MEMBER_BYTES] };
  if (headerLength < HEADER_WITH_LAYOUT_BYTES) return sizes;
  const start = headerLength + view.getUint32(24, true);
  const end = Math.min(start + view.getUint32(28, true), view.byteLength);
  for (let kind = FIXED_BYTES.length; kind < 128 && start + kind * 4 + 4 <= end; kind++) {
    sizes.fixed[kind] = view.getUint8(start + kind * 4);
    sizes.member[kind] = view.getUint8(start + kind * 4 + 1);
  }
  return sizes;
};

export const parseHeader = (bytes: Uint8Array): BtfSections | Failure => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) return malformed(`${bytes.length} bytes are too few for a header`);
  const magic = view.getUint16(0, true);
  if (magic !== MAGIC) return malformed(`wrong magic 0x${magic.toString(16)}`);
  const version = view.getUint8(2);
  if (version !== 1) return malformed(`unknown version ${version}`);
  const headerLength = view.getUint32(4, true);
  if (headerLength < HEADER_BYTES || headerLength > bytes.length) {
    return malformed(`header length ${headerLength} is out of range`);
  }
  const typesStart = headerLength + view.getUint32(8, true);
  const typesEnd = typesStart + view.getUint32(12, true);
  const stringsStart = headerLength + view.getUint32(16, true);
  const stringsEnd = stringsStart + view.getUint32(20, true);
  if (typesEnd > bytes.length || stringsEnd > bytes.length) {
    return malformed(`sections end at ${Math.max(typesEnd, stringsEnd)} but there are ${bytes.length} bytes`);
  }
  if (stringsEnd === stringsStart || bytes[stringsStart] !== 0 || bytes[stringsEnd - 1] !== 0) {
    return malformed('the string section does not start and end with a NUL');
  }
  const strings = bytes.subarray(stringsStart, stringsEnd);
  return { view, typesStart, typesEnd, strings, sizes: kindSizes(view, headerLength) };
};

/** Offsets of all types; index = type id (0 is `void` and has none). */
export const indexTypes = (s: BtfSections): Uint32Array | Failure => {
  const offsets = new Uint32Array(Math.floor((s.typesEnd - s.typesStart) / TYPE_BYTES) + 1);
  let at = s.typesStart;
  let count = 0;
  while (at < s.typesEnd) {
    const id = count + 1;
    if (at + TYPE_BYTES > s.typesEnd) return malformed(`type ${id} is cut`);
    if (s.view.getUint32(at, true) >= s.strings.length) return malformed(`type ${id} has no valid name`);
    const info = s.view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x7f;
    const fixed = s.sizes.fixed[kind];
    if (kind === 0 || fixed === undefined) return malformed(`type ${id} has the unknown kind ${kind}`);
    offsets[++count] = at;
    at += TYPE_BYTES + fixed + (s.sizes.member[kind] ?? 0) * (info & 0xffffff);
    if (at > s.typesEnd) return malformed(`type ${id} runs past the end`);
  }
  return offsets.subarray(0, count + 1);
};
