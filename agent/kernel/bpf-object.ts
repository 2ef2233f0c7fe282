/**
 * One BPF object file from open to close: constants before load, memory of its maps after it, and everything
 * freed in the one order that is safe. Using a closed object is harmless: its buffers are empty then.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Failure, failure, isFailure } from '../failure.ts';
import { abiMismatch } from './abi.ts';
import { type Btf, type BtfField, parseBtf } from './btf.ts';
import {
  errnoName,
  type Libbpf,
  type LinkHandle,
  type MapHandle,
  type ObjectHandle,
  type ProgramHandle,
} from './libbpf.ts';

export type ObjectName = 'observer' | 'scheduler' | 'cgroups' | 'process';

/** enum bpf_map_type: BPF_MAP_TYPE_STRUCT_OPS. */
const STRUCT_OPS_MAP = 26;
const LOG_LINES_IN_FAILURE = 12;

const here = dirname(fileURLToPath(import.meta.url));

/** SCX_SLO_BPF_DIR, else next to the bundle, else the checkout's build folder. */
const objectPath = (name: ObjectName): string => {
  const file = `${name}.bpf.o`;
  const explicit = process.env.SCX_SLO_BPF_DIR;
  if (explicit) return join(explicit, file);
  const candidates = ['../../build/bpf', '../bpf', './bpf'].map((folder) => join(here, folder, file));
  return candidates.find((path) => existsSync(path)) ?? join(here, '../../build/bpf', file);
};

export class BpfObject {
  readonly name: ObjectName;
  readonly #libbpf: Libbpf;
  readonly #handle: ObjectHandle;
  readonly #btf: Btf;
  readonly #links: LinkHandle[] = [];
  readonly #mappings: ArrayBuffer[] = [];
  readonly #sections: ArrayBuffer[] = [];
  #closed: boolean = false;

  private constructor(name: ObjectName, libbpf: Libbpf, handle: ObjectHandle, btf: Btf) {
    this.name = name;
    this.#libbpf = libbpf;
    this.#handle = handle;
    this.#btf = btf;
  }

  /** Fails with SLO_E_BPF_OPEN (no file, no ELF) or SLO_E_ABI (built from another version of bpf/abi.h). */
  static open(name: ObjectName, libbpf: Libbpf): BpfObject | Failure {
    const path = objectPath(name);
    libbpf.clearLog();
    const handle = libbpf.openObject(path);
    if (typeof handle === 'number') {
      const why = [errnoName(handle), ...libbpf.recentLog()].join('; ');
      return failure('SLO_E_BPF_OPEN', `${path} could not be opened`, why, 'run `make bpf`');
    }
    const btf = parseBtf(libbpf.objectBtf(handle));
    const problem = isFailure(btf) ? btf.why : abiMismatch(btf);
    if (isFailure(btf) || problem) {
      libbpf.closeObject(handle);
      return failure('SLO_E_ABI', `${path} does not fit this agent`, String(problem), 'run `make bpf`');
    }
    return new BpfObject(name, libbpf, handle, btf);
  }

  /** Before load. false: the object has no such constant (not every object needs every one). */
  setConstant(name: string, value: number | bigint | Uint16Array): boolean {
    const field = this.#btf.section('.rodata')?.find((variable) => variable.name === name);
    return field ? this.#write('.rodata', field, value) : false;
  }

  /** Before load: a numeric member of a struct_ops map. */
  setOpsMember(mapName: string, member: string, value: number | bigint): boolean {
    const field = this.#opsFields(mapName).find((candidate) => candidate.name === member);
    return field ? this.#write(mapName, field, value) : false;
  }

  /** Before load: the struct_ops maps of the object, each with the members that it sets. */
  structOpsVariants(): { name: string; members: string[] }[] {
    const variants: { name: string; members: string[] }[] = [];
    let map = this.#libbpf.nextMap(this.#handle, null);
    for (; map !== undefined; map = this.#libbpf.nextMap(this.#handle, map)) {
      if (this.#libbpf.mapType(map) !== STRUCT_OPS_MAP) continue;
      const name = this.#libbpf.mapName(map);
      const bytes = this.#libbpf.initialValue(map);
      if (!bytes) continue;
      const content = new Uint8Array(bytes).slice();
      this.#libbpf.forget(bytes);
      const isSet = (f: BtfField) =>
        content.subarray(f.offsetBytes, f.offsetBytes + f.sizeBytes).some((byte) => byte !== 0);
      const members = this.#opsFields(name).filter(isSet);
      variants.push({ name, members: members.map((field) => field.name) });
    }
    return variants;
  }

  /** Before load. Programs that only a left out struct_ops map refers to are left out with it. */
  setAutocreate(mapName: string, create: boolean): void {
    const map = this.#map(mapName);
    if (map !== undefined) this.#libbpf.setAutocreate(map, create);
  }

  setMaxEntries(mapName: string, entries: number): void {
    const map = this.#map(mapName);
    if (map !== undefined) this.#libbpf.setMaxEntries(map, entries);
  }

  /** Verifies and loads; the Failure (SLO_E_BPF_LOAD) carries the verifier's last lines. Blocks meanwhile. */
  load(): Failure | undefined {
    this.#libbpf.clearLog();
    const result = this.#libbpf.loadObject(this.#handle);
    return result < 0 ? this.#loadFailure('could not be loaded', errnoName(result)) : undefined;
  }

  /** load() that answers with what the verifier says about each program that it loaded, by the program's name. */
  loadWithVerifierStats(): Map<string, string> | Failure {
    const logs = this.#programs().map((program) => ({
      name: this.#libbpf.programName(program),
      log: this.#libbpf.logVerifierStats(program),
    }));
    const problem = this.load();
    const texts = new Map(logs.map(({ name, log }) => [name, log.take()]));
    return problem ?? new Map([...texts].filter(([, text]) => text !== ''));
  }

  #programs(): ProgramHandle[] {
    const programs: ProgramHandle[] = [];
    let program = this.#libbpf.nextProgram(this.#handle, null);
    for (; program !== undefined; program = this.#libbpf.nextProgram(this.#handle, program))
      programs.push(program);
    return programs;
  }

  #loadFailure(what: string, error: string): Failure {
    const log = this.#libbpf.recentLog().slice(-LOG_LINES_IN_FAILURE);
    const next =
      'run as root (or with CAP_BPF and CAP_PERFMON) on a kernel with BTF; the lines above are libbpf’s';
    const why = [error, ...log].join('\n  ');
    return failure('SLO_E_BPF_LOAD', `the ${this.name} object ${what}`, why, next);
  }

  /** After load: runs a program of section `syscall` once, without a context. @returns what it returned */
  runProgram(name: string): number | Failure {
    const program = this.#programs().find((candidate) => this.#libbpf.programName(candidate) === name);
    if (program === undefined) return this.#loadFailure(`has no program ${name}`, 'ENOENT');
    const result = this.#libbpf.runProgram(program);
    return result.failed === undefined
      ? result.returned
      : this.#loadFailure(`could not run ${name}`, errnoName(result.failed));
  }

  /** After load: attaches every program that was loaded. What was attached stays until close(). */
  attachPrograms(): Failure | undefined {
    this.#libbpf.clearLog();
    for (const program of this.#programs()) {
      if (!this.#libbpf.autoload(program)) continue;
      const link = this.#libbpf.attachProgram(program);
      if (typeof link === 'number') {
        const what = `could not attach ${this.#libbpf.programName(program)}`;
        return this.#loadFailure(what, errnoName(link));
      }
      this.#links.push(link);
    }
    return undefined;
  }

  /** Blocks in the background for as long as the kernel takes; undefined: refused. Not owned by close(). */
  attachStructOps(mapName: string): Promise<LinkHandle | undefined> {
    this.#libbpf.clearLog();
    const map = this.#map(mapName);
    return map === undefined ? Promise.resolve(undefined) : this.#libbpf.attachStructOps(map);
  }

  /** File descriptor of a loaded map; negative: no such map. */
  mapFd(name: string): number {
    const map = this.#map(name);
    return map === undefined ? -1 : this.#libbpf.mapFd(map);
  }

  maxEntries(name: string): number {
    const map = this.#map(name);
    return map === undefined ? 0 : this.#libbpf.maxEntries(map);
  }

  /** Memory of a BPF_F_MMAPABLE array, shared with the kernel; emptied by close(). */
  arrayMemory(name: string): ArrayBuffer | Failure {
    const map = this.#map(name);
    if (map === undefined) return this.#loadFailure(`has no map ${name}`, 'ENOENT');
    const length = Math.ceil(this.#libbpf.valueSize(map) / 8) * 8 * this.#libbpf.maxEntries(map);
    const memory = this.#libbpf.mapMemory(this.#libbpf.mapFd(map), length);
    if (typeof memory === 'number') return this.#loadFailure(`could not map ${name}`, errnoName(memory));
    this.#mappings.push(memory);
    return memory;
  }

  /** Memory of a data section such as `.data.health`, shared with the kernel; emptied by close(). */
  sectionMemory(name: string): ArrayBuffer | Failure {
    const map = this.#map(name);
    const memory = map === undefined ? undefined : this.#libbpf.initialValue(map);
    if (!memory) return this.#loadFailure(`has no section ${name}`, 'ENOENT');
    this.#sections.push(memory);
    return memory;
  }

  /** Detaches what attachPrograms() attached and frees everything. Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const link of this.#links) this.#libbpf.destroyLink(link);
    for (const memory of this.#sections) this.#libbpf.forget(memory);
    for (const memory of this.#mappings) this.#libbpf.unmapMemory(memory);
    this.#libbpf.closeObject(this.#handle);
  }

  #map(name: string): MapHandle | undefined {
    return this.#closed ? undefined : this.#libbpf.findMap(this.#handle, name);
  }

  /** Members of the struct behind a struct_ops map, as the object (not the kernel) lays them out. */
  #opsFields(mapName: string): BtfField[] {
    for (const section of ['.struct_ops.link', '.struct_ops', '?.struct_ops.link', '?.struct_ops']) {
      const variable = this.#btf.section(section)?.find((candidate) => candidate.name === mapName);
      if (variable) return this.#btf.struct(variable.typeId)?.fields ?? [];
    }
    return [];
  }

  #write(mapName: string, field: BtfField, value: number | bigint | Uint16Array): boolean {
    const map = this.#map(mapName);
    const memory = map === undefined ? undefined : this.#libbpf.initialValue(map);
    if (!memory) return false;
    const wrote = writeValue(new DataView(memory, field.offsetBytes, field.sizeBytes), value);
    // after load the same memory is read-only or gone
    this.#libbpf.forget(memory);
    return wrote;
  }
}

const writeValue = (target: DataView, value: number | bigint | Uint16Array): boolean => {
  if (value instanceof Uint16Array) {
    if (value.byteLength > target.byteLength) return false;
    for (const [i, element] of value.entries()) target.setUint16(i * 2, element, true);
  } else if (target.byteLength === 8) target.setBigUint64(0, BigInt(value), true);
  else if (target.byteLength === 4) target.setUint32(0, Number(value), true);
  else return false;
  return true;
};
